/*
On which models do the ledger and the provider's bill differ, in tokens and in dollars?

Grain: one row per provider, month and model with calls, lines of a bill or a usage report.
Reads: reconciliation_part.
Sums to: reconciliation, exactly.

provider         text     Who bills, or (unattributed)
month            text     UTC month, YYYY-MM
model            text     As in the ledger, else in the report or on the bill; (not named): the bill or report names none
calls            integer  Inferences in the ledger
unpriced_calls   integer  Those without a price, so not in ledger_usd
ledger_tokens    integer  Input and output together
reported_tokens  integer  What the provider counts, as far as its report or bill goes. NULL: it does not say
ledger_usd       real     US dollars at the ledger's prices. NULL: no call, or none is priced
invoiced_usd     real     US dollars on the bill. NULL: no line names the model
difference_usd   real     invoiced_usd - ledger_usd. NULL: one of them is
*/
with summed as (
  select
    provider,
    month,
    model,
    iif(adds_up, 'difference', part) as part,
    sum(entries) as entries,
    sum(unvalued) as unvalued,
    sum(tokens) as tokens,
    sum(iif(adds_up and part = 'ledger', -cost_4096ths, cost_4096ths)) as whole,
    sum(iif(adds_up and part = 'ledger', -cost_picos, cost_picos)) as rest
  from reconciliation_part
  cross join (select 0 as adds_up union all select 1)
  where part in ('ledger', 'invoiced') or (part = 'reported_usage' and not adds_up)
  group by 1, 2, 3, 4
),
valued as (
  select
    *,
    -- The nearest double, see daily_cost.
    iif(
      abs(whole + rest / 244140625) < 36893488,
      (whole * 244140625 + rest) / 1e12,
      (whole + rest / 244140625) / 4096.0 + rest % 244140625 / 1e12
    ) as usd
  from summed
),
pivoted as (
  select
    provider,
    month,
    model,
    coalesce(sum(iif(part = 'ledger', entries, 0)), 0) as calls,
    coalesce(sum(iif(part = 'ledger', unvalued, 0)), 0) as unpriced_calls,
    coalesce(sum(iif(part = 'ledger', tokens, 0)), 0) as ledger_tokens,
    max(iif(part = 'reported_usage', tokens, null)) as reported_tokens,
    max(iif(part = 'ledger' and entries > unvalued, usd, null)) as ledger_usd,
    max(iif(part = 'invoiced', usd, null)) as invoiced_usd,
    max(iif(part = 'difference', usd, null)) as difference_usd
  from valued
  group by 1, 2, 3
)
select
  cast(provider as text) as provider,
  cast(month as text) as month,
  cast(model as text) as model,
  cast(calls as integer) as calls,
  cast(unpriced_calls as integer) as unpriced_calls,
  cast(ledger_tokens as integer) as ledger_tokens,
  cast(reported_tokens as integer) as reported_tokens,
  cast(ledger_usd as real) as ledger_usd,
  cast(invoiced_usd as real) as invoiced_usd,
  cast(iif(ledger_usd is null or invoiced_usd is null, null, difference_usd) as real) as difference_usd
from pivoted
