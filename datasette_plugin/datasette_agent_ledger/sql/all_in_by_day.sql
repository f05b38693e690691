/*
What was spent on everything per day, by {axis}?

The {axis}s that spent most, and all others together, which have no name. Beside each amount the whole day and the whole
{axis}. Days without calls have no row; calls without a price are in no amount.

Reads: all_in_part.
Shows: all_in_by_day, all_in_by_{axis}.
*/
with part as (
  select
    substr(bucket, 1, 13) as hour,
    {key} as {axis},
    coalesce(llm_4096ths + llm_picos / 244140625, 0) + coalesce(tool_4096ths + tool_picos / 244140625, 0) as whole,
    coalesce(llm_picos % 244140625, 0) + coalesce(tool_picos % 244140625, 0) as rest,
    unpriced_calls + uncosted_calls as unpriced_calls
  from all_in_part
  where grain in (:grain, 'call') and bucket >= :since and bucket < :until
),
summed as (
  select hour, {axis}, sum(whole) as whole, sum(rest) as rest, sum(unpriced_calls) as unpriced_calls
  from part
  group by 1, 2
),
dated as (
  -- Which day of the chosen time zone an hour is part of; without a calendar, UTC's.
  select hour, coalesce((
    select value from json_each(:calendar) where key <= hour order by key desc limit 1
  ), substr(hour, 1, 10)) as day
  from (select distinct hour from summed)
),
ranked as (
  select {axis}, row_number() over (order by sum(whole) desc, sum(rest) desc, {axis}) as place
  from summed
  group by 1
)
select
  day,
  iif(place <= 7, {axis}, null) as {axis},
  sum(whole) / 4096.0 + sum(rest) / 1e12 as all_in_usd,
  sum(sum(whole)) over by_day / 4096.0 + sum(sum(rest)) over by_day / 1e12 as day_usd,
  sum(sum(whole)) over by_{axis} / 4096.0 + sum(sum(rest)) over by_{axis} / 1e12 as {axis}_usd,
  sum(sum(unpriced_calls)) over by_day as unpriced_calls
from summed
join dated using (hour)
join ranked using ({axis})
group by day, iif(place <= 7, place, 8)
window by_day as (partition by day), by_{axis} as (partition by iif(place <= 7, place, 8))
order by day, min(place)
