/*
Which agents does a provider's invoice go to? What no call in the ledger explains is (unattributed).

Grain: one row per provider and month that has a bill for tokens, and agent.
Reads: reconciliation_entry.
Sums to: invoiced_usd of reconciliation, exactly.

provider         text     Who bills
month            text     UTC month, YYYY-MM
agent_id         text     Who made the calls, or (unattributed): calls that nobody claims, and the difference to the invoice
calls            integer  Inferences
unpriced_calls   integer  Those without a price: the invoice's amount for them is in (unattributed)
cost_usd         real     US dollars at the ledger's prices; in (unattributed) the rest of the invoice
*/
with added as (
  select provider, month, entry, agent_id, sum(calls) as calls, sum(iif(cost_picos is null, calls, 0)) as unpriced,
    count(cost_picos) > 0 and entry = 'charge' as billed, coalesce(sum(cost_4096ths + cost_picos / 244140625), 0) as whole,
    coalesce(sum(cost_picos % 244140625), 0) as rest
  from reconciliation_entry
  where entry in ('call', 'charge')
  group by 1, 2, 3, 4
),
claimed as (
  select provider, month, agent_id, calls, unpriced, billed, whole, rest from added where entry = 'call'
  union all
  select provider, month, '(unattributed)', 0, 0, billed, iif(entry = 'call', -whole, whole), iif(entry = 'call', -rest, rest) from added
),
summed as (
  select provider, month, agent_id, sum(calls) as calls, sum(unpriced) as unpriced, max(billed) as billed,
    sum(whole) as whole, sum(rest) as rest
  from claimed
  group by 1, 2, 3
),
known as (
  select *, max(billed) over (partition by provider, month) as has_bill from summed
)
select
  cast(provider as text) as provider,
  cast(month as text) as month,
  cast(agent_id as text) as agent_id,
  cast(calls as integer) as calls,
  cast(unpriced as integer) as unpriced_calls,
  -- The nearest double, see daily_cost.
  cast(iif(
    abs(whole + rest / 244140625) < 36893488,
    (whole * 244140625 + rest) / 1e12,
    (whole + rest / 244140625) / 4096.0 + rest % 244140625 / 1e12
  ) as real) as cost_usd
from known
where has_bill
