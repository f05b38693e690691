/*
Which {axis} spent the money?

LLM calls of the period, and the change against the period before.

Reads: usage_cost.
Shows: cost_by_{axis}.
*/
with part as (
  select {key} as {axis}, bucket >= :since as is_now, calls, cost_4096ths, cost_picos
  from usage_cost
  where grain in (:grain, 'call') and bucket >= :before and bucket < :until
),
summed as (
  select
    {axis},
    sum(iif(is_now, calls, 0)) as calls,
    sum(iif(is_now, cost_4096ths + cost_picos / 244140625, null)) as whole,
    sum(iif(is_now, cost_picos % 244140625, null)) as rest,
    sum(iif(is_now, null, cost_4096ths + cost_picos / 244140625)) as before_whole,
    sum(iif(is_now, null, cost_picos % 244140625)) as before_rest,
    sum(iif(is_now and cost_picos is null, calls, 0)) as unpriced_calls
  from part
  group by 1
),
priced as (
  select
    {axis},
    calls,
    whole / 4096.0 + rest / 1e12 as cost_usd,
    before_whole / 4096.0 + before_rest / 1e12 as before_usd,
    unpriced_calls
  from summed
)
select
  {axis},
  cost_usd,
  cost_usd / sum(cost_usd) over () as share,
  before_usd,
  coalesce(cost_usd, 0) - coalesce(before_usd, 0) as change_usd,
  calls,
  unpriced_calls
from priced
order by coalesce(cost_usd, 0) desc, before_usd desc, calls desc, {axis}
