/*
What of the bills did no tool call cause, and why?

Grain: one row per charge line with a rest; lines in a currency without exchange rate too.
Reads: billed_charge, allocation_rest, allocation.
Sums to: the cloud lines of billed_charge, together with allocated_charge.

charge_id       text     The bill's id of the line
charge_row      integer  charge.id
billing_period  text     YYYY-MM, or YYYY-MM-DD
period_start    text     Of the usage, ISO 8601 UTC
period_end      text     Not included
provider        text     Whose bill
service         text     NULL: not named
resource_id     text     As billed. NULL: the line names no resource
usage_type      text     What is metered. NULL: not named
category        text     usage, tax, credit, refund, fee, purchase, discount or adjustment
cost_usd        real     US dollars that nobody claimed; negative for credits. NULL: the currency has no exchange rate
cost_picos      integer  The same in pico-dollars (1e-12 USD)
reason          text     Why: no resource, no tool call, no tool call then, not all metered, tax or fee, credit, by rule, not allocated yet, or no exchange rate
*/
with rest as (
  select
    billed_charge.*,
    coalesce(
      allocation_rest.cost_picos,
      iif(exists (select 1 from allocation where allocation.charge_id = billed_charge.id), 0, billed_charge.cost_picos)
    ) as rest_picos,
    case
      when billed_charge.cost_picos is null then 'no exchange rate'
      else coalesce(allocation_rest.reason, 'not allocated yet')
    end as reason
  from billed_charge
  left join allocation_rest on allocation_rest.charge_id = billed_charge.id
  where billed_charge.kind = 'cloud'
)
select
  charge_id,
  cast(id as integer) as charge_row,
  billing_period,
  period_start,
  period_end,
  provider,
  service,
  resource_id,
  usage_type,
  category,
  cast(iif(
    abs(rest_picos) < 9007199254740992,
    rest_picos / 1e12,
    rest_picos / 244140625 / 4096.0 + rest_picos % 244140625 / 1e12
  ) as real) as cost_usd,
  cast(rest_picos as integer) as cost_picos,
  cast(reason as text) as reason
from rest
where rest_picos <> 0 or rest_picos is null
