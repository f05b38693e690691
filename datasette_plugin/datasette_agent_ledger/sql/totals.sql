/*
What was spent on LLM calls, in the period and before?

What has no team or no customer is (unattributed); calls without a price are in no amount.

Reads: usage_cost.
Shows: cost_by_day.
*/
with part as (
  select bucket >= :since as is_now, *
  from usage_cost
  where grain in (:grain, 'call') and bucket >= :before and bucket < :until
),
summed as (
  select
    is_now,
    sum(calls) as calls,
    sum(cost_4096ths + cost_picos / 244140625) as whole,
    sum(cost_picos % 244140625) as rest,
    sum(iif(cost_picos is null, calls, 0)) as unpriced_calls,
    sum(iif(team is null, cost_4096ths + cost_picos / 244140625, 0)) as without_team_whole,
    sum(iif(team is null, cost_picos % 244140625, 0)) as without_team_rest
  from part
  group by is_now
),
priced as (
  select *, whole / 4096.0 + rest / 1e12 as cost_usd, without_team_whole / 4096.0 + without_team_rest / 1e12 as without_team_usd
  from summed
)
select
  coalesce(sum(iif(is_now, calls, 0)), 0) as calls,
  sum(iif(is_now, cost_usd, null)) as cost_usd,
  sum(iif(is_now, null, cost_usd)) as before_usd,
  coalesce(sum(iif(is_now, unpriced_calls, 0)), 0) as unpriced_calls,
  sum(iif(is_now, 1.0 * unpriced_calls / calls, null)) as unpriced_share,
  sum(iif(is_now, without_team_usd, null)) as unattributed_usd,
  sum(iif(is_now, without_team_usd / nullif(cost_usd, 0), null)) as unattributed_share
from priced
