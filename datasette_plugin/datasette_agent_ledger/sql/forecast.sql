/*
What will the period have cost by its end, at the pace so far?

Calls up to the last one in the ledger, and the same per day for the rest of the period. No row: the period has ended.

Reads: usage_cost.
Shows: cost_by_day.
*/
with part as (
  select cost_4096ths, cost_picos, coalesce(last_ts, bucket) as ts
  from usage_cost
  where grain in (:grain, 'call') and bucket >= :since and bucket < :until
),
summed as (
  select
    sum(cost_4096ths + cost_picos / 244140625) / 4096.0 + sum(cost_picos % 244140625) / 1e12 as spent_usd,
    julianday(max(ts)) - julianday(substr(:since, 1, 10)) as days_so_far,
    julianday(substr(:until, 1, 10)) - julianday(substr(:since, 1, 10)) as days
  from part
)
select spent_usd, spent_usd * days / days_so_far as forecast_usd, days_so_far, days
from summed
where days_so_far >= 1 and julianday('now') < julianday(substr(:until, 1, 10))
