/*
Which agents spend more today than is usual for them? Against the same weekdays of the last eight weeks, LLM calls only.

Unusual is more than the median of those days and five times their median deviation (times 1.4826, which makes it
comparable to a standard deviation), more than twice the median, and more than a dollar. Today counts as far as it goes.

Grain: one row per agent with calls today (UTC).
Reads: moment, rollup_cost, compacted, call_part, usage_loose.

agent_id       text     Who made the calls
day            text     Today, YYYY-MM-DD, UTC
days           integer  The same weekdays of the last eight weeks on which it had priced calls
spent_usd      real     US dollars so far, without the unpriced calls
median_usd     real     The median of those days. NULL: fewer than four of them, which is too few to say
deviation_usd  real     The median of how far each of them is from the median. NULL: too few
threshold_usd  real     More than this is unusual. NULL: too few
is_unusual     integer  1: it is
now            text     The moment from which this is told
*/
with recursive week (day, weeks, now) as (
  select substr(now, 1, 10), 0, now from moment
  union all
  select date(day, '-7 days'), weeks + 1, now from week where weeks < 8
),
spent as (
  select
    part.agent_id,
    week.weeks,
    part.cost_4096ths + part.cost_picos / 244140625 as whole,
    part.cost_picos % 244140625 as rest
  from week
  cross join rollup_cost as part on part.grain = 'day' and part.bucket = week.day
  where (select ledger_row from compacted) > 0
  union all
  select part.agent_id, week.weeks, 0, part.cost_picos
  from week
  cross join call_part as part on part.bucket >= week.day and part.bucket < date(week.day, '+1 day')
  where part.id > (select ledger_row from compacted)
  union all
  select part.agent_id, week.weeks, 0, part.cost_picos
  from week
  cross join call_part as part on part.bucket >= week.day and part.bucket < date(week.day, '+1 day')
  where part.id in (select id from usage_loose) and part.id <= (select ledger_row from compacted)
),
daily as (
  select agent_id, weeks, sum(whole) / 4096.0 + sum(rest) / 1e12 as usd from spent group by 1, 2
),
earlier as (
  select
    agent_id,
    usd,
    row_number() over (partition by agent_id order by usd) as place,
    count(*) over (partition by agent_id) as days
  from daily
  where weeks > 0 and usd is not null
),
middle as (
  select agent_id, days, avg(usd) as median from earlier where place in ((days + 1) / 2, (days + 2) / 2) group by 1
),
apart as (
  select
    earlier.agent_id,
    abs(usd - median) as usd,
    row_number() over (partition by earlier.agent_id order by abs(usd - median)) as place,
    earlier.days
  from earlier
  join middle on middle.agent_id = earlier.agent_id
),
spread as (
  select agent_id, avg(usd) as deviation from apart where place in ((days + 1) / 2, (days + 2) / 2) group by 1
),
told as (
  select
    daily.agent_id,
    coalesce(middle.days, 0) as days,
    daily.usd,
    iif(middle.days >= 4, median, null) as median,
    iif(middle.days >= 4, deviation, null) as deviation,
    iif(middle.days >= 4, max(2 * median, median + 5 * 1.4826 * deviation, 1), null) as threshold
  from daily
  left join middle on middle.agent_id = daily.agent_id
  left join spread on spread.agent_id = daily.agent_id
  where daily.weeks = 0
)
select
  agent_id,
  cast(substr(moment.now, 1, 10) as text) as day,
  cast(days as integer) as days,
  cast(usd as real) as spent_usd,
  cast(median as real) as median_usd,
  cast(deviation as real) as deviation_usd,
  cast(threshold as real) as threshold_usd,
  cast(coalesce(usd > threshold, 0) as integer) as is_unusual,
  moment.now
from moment
cross join told
