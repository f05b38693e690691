/*
What did this {axis} spend per day?

LLM calls. Days without calls have no row.

Reads: usage_cost.
Shows: cost_by_day, cost_by_{axis}.
*/
with summed as (
  select
    substr(bucket, 1, 13) as hour,
    sum(calls) as calls,
    sum(cost_4096ths + cost_picos / 244140625) as whole,
    sum(cost_picos % 244140625) as rest,
    sum(iif(cost_picos is null, calls, 0)) as unpriced_calls
  from usage_cost
  where grain in (:grain, 'call') and bucket >= :since and bucket < :until and {key} = :key
  group by 1
),
dated as (
  -- Which day of the chosen time zone an hour is part of; without a calendar, UTC's.
  select *, coalesce((
    select value from json_each(:calendar) where key <= hour order by key desc limit 1
  ), substr(hour, 1, 10)) as day
  from summed
)
select
  day,
  sum(whole) / 4096.0 + sum(rest) / 1e12 as cost_usd,
  sum(calls) as calls,
  sum(unpriced_calls) as unpriced_calls
from dated
group by day
order by day
