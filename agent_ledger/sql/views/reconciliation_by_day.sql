/*
On which days do the ledger and the provider's bill differ, in tokens and in dollars?

Grain: one row per provider and UTC day with calls, lines of a bill or a usage report.
Reads: reconciliation_entry.
Sums to: reconciliation, exactly.

provider         text     Who bills, or (unattributed)
day              text     UTC day, YYYY-MM-DD; of a line for a longer period its first
calls            integer  Inferences in the ledger
unpriced_calls   integer  Those without a price, so not in ledger_usd
ledger_tokens    integer  Input and output together
reported_tokens  integer  What the provider's usage report counts. NULL: no report for that day
ledger_usd       real     US dollars at the ledger's prices. NULL: no call, or none is priced
invoiced_usd     real     US dollars on the bill. NULL: no line begins on that day
difference_usd   real     invoiced_usd - ledger_usd. NULL: one of them is
*/
with summed as (
  select
    provider,
    day,
    entry,
    sum(calls) as calls,
    sum(iif(cost_picos is null, calls, 0)) as unvalued,
    sum(iif(entry = 'charge', null, tokens)) as tokens,
    sum(cost_4096ths + cost_picos / 244140625) as whole,
    sum(cost_picos % 244140625) as rest
  from reconciliation_entry
  group by 1, 2, 3
),
parts as (
  select * from summed
  union all
  select
    provider,
    day,
    'difference',
    null,
    null,
    null,
    sum(iif(entry = 'call', -whole, whole)),
    sum(iif(entry = 'call', -rest, rest))
  from summed
  group by 1, 2
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
  from parts
),
pivoted as (
  select
    provider,
    day,
    coalesce(sum(iif(entry = 'call', calls, 0)), 0) as calls,
    coalesce(sum(iif(entry = 'call', unvalued, 0)), 0) as unpriced_calls,
    coalesce(sum(iif(entry = 'call', tokens, 0)), 0) as ledger_tokens,
    max(iif(entry = 'usage', tokens, null)) as reported_tokens,
    max(iif(entry = 'call', usd, null)) as ledger_usd,
    max(iif(entry = 'charge', usd, null)) as invoiced_usd,
    max(iif(entry = 'difference', usd, null)) as difference_usd
  from valued
  group by 1, 2
)
select
  cast(provider as text) as provider,
  cast(day as text) as day,
  cast(calls as integer) as calls,
  cast(unpriced_calls as integer) as unpriced_calls,
  cast(ledger_tokens as integer) as ledger_tokens,
  cast(reported_tokens as integer) as reported_tokens,
  cast(ledger_usd as real) as ledger_usd,
  cast(invoiced_usd as real) as invoiced_usd,
  cast(iif(ledger_usd is null or invoiced_usd is null, null, difference_usd) as real) as difference_usd
from pivoted
