/*
On which {other}s did it go?

LLM calls of the period, in a ledger of more than a million those of its last days: the statement says since when. Days are UTC's.

Reads: usage_cost.
Shows: cost_by_{axis}, cost_by_{other}.
*/
with part as (
  select {other_key} as {other}, calls, cost_4096ths, cost_picos
  from usage_cost
  where grain in ('agent_customer', 'call')
    and bucket >= :recent_since
    and bucket < :until
    and {key} = :key
),
summed as (
  select
    {other},
    sum(calls) as calls,
    sum(cost_4096ths + cost_picos / 244140625) as whole,
    sum(cost_picos % 244140625) as rest,
    sum(iif(cost_picos is null, calls, 0)) as unpriced_calls
  from part
  group by 1
)
select
  {other},
  whole / 4096.0 + rest / 1e12 as cost_usd,
  (whole / 4096.0 + rest / 1e12) / sum(whole / 4096.0 + rest / 1e12) over () as share,
  calls,
  unpriced_calls
from summed
order by coalesce(cost_usd, 0) desc, calls desc, {other}
limit 50
