/*
How much of each budget is spent, and how much will be at the end of its window?

The forecast is what is spent, and for the rest of the window what the same weekdays cost in the last five weeks (the
average without their lowest and highest quarter), times how the days of this window compare with that. With fewer than
two weeks of whole days they are not told apart. Without one whole day the spend so far goes on as it did, once a
forty-eighth of the window is over: half an hour of a day, fifteen of a month. Low and high: as if every day to come were at
the end of the lowest, or the start of the highest, quarter of those days. What is not known makes a budget incomplete,
and never ok.

Grain: one row per budget in force.
Reads: budget_spend, directive_in_force, exception_in_force, control_event.

scope              text     agent, team, feature, customer, model or everything
key                text     Whose budget it is
period             text     day, week or month
limit_usd          real     US dollars. NULL: the limit is in tokens, or no exchange rate is known
spent_usd          real     US dollars of the window, without what is not known. NULL: nothing of it is known
forecast_usd       real     Of the whole window. NULL: the limit is in tokens, nothing was spent yet, or it is too early to say
used_share         real     Of the limit, in dollars or tokens, 1 is all of it. NULL: not known
state              text     over the hard cap, exceeded, warning, forecast over, incomplete or ok: the first that is true
budget             text     budget.name
basis              text     llm: LLM calls; all-in: tool calls and bills too
tier               text     How much it matters. NULL: not said
on_breach          text     notify, throttle or block
throttle_to        text     Model or pattern -> the model to use instead, JSON. NULL: none
hard_percent       integer  Of the limit, which no call may pass. NULL: there is no hard cap
reached_percent    integer  The highest step that is reached. NULL: none
window             text     2026-11-30, 2026-W49 or 2026-11. NULL: the table budget_window does not reach so far
window_start       text     From this moment on, ISO 8601 UTC
window_end         text     Up to, not including, this one
zone               text     The IANA time zone whose days, weeks or months they are
forecast_low_usd   real     NULL: too few days to say
forecast_high_usd  real     NULL: too few days to say
forecast_method    text     weekdays, days or rate: as above. NULL: no forecast
forecast_days      integer  Whole days that it is made from
certainty          text     high, medium, low: low and high lie within 20 or 50 percent, or further apart. NULL: no forecast
limit_amount       real     The limit in its currency. NULL: the limit is in tokens
currency           text     NULL: the limit is in tokens
limit_tokens       integer  NULL: the limit is in money
spent_tokens       integer  Input and output tokens of the window
forecast_tokens    real     NULL: the limit is in money
unknown_calls      integer  Inferences of the window whose cost, or tokens where the limit is in tokens, nobody knows
uncosted_calls     integer  Tool calls of the window whose cost nobody says; 0 where the budget is for LLM calls
exception_until    text     Until when it may be overrun. NULL: it may not
exception_by       text     Who said so. NULL: nobody
directive          text     throttle or block, as the runtime is told now. NULL: nothing
directive_until    text     NULL: no directive
verdict            text     Of the last throttle or block: worked, did not work or undecidable. NULL: not judged yet, or none
saving_usd         real     What it saved until it was judged. NULL: not judged, or not known
budget_id          integer  budget.id, the row that holds
now                text     The moment from which this is told
*/
with told as (
  select
    b.*,
    b.cost_4096ths as spent_whole,
    b.cost_picos as spent_rest,
    b.limit_4096ths as limit_whole,
    b.limit_picos as limit_rest,
    iif(b.limit_tokens is null, b.cost_4096ths / 4096.0 + b.cost_picos / 1e12, b.tokens) as spent,
    json_extract(expected.value, '$[0]') as days,
    json_extract(expected.value, '$[1]') as used,
    json_extract(expected.value, '$[2]') as open,
    json_extract(expected.value, '$[3]') as mean,
    json_extract(expected.value, '$[4]') as mean_used,
    json_extract(expected.value, '$[5]') as mean_open,
    json_extract(expected.value, '$[6]') as low_open,
    json_extract(expected.value, '$[7]') as high_open
  from budget_spend as b
  cross join json_each(json_array(json((
    with recursive known as materialized (
      select key as day, value from json_each(b.daily)
    ),
    day (day) as (
      -- Each UTC day from the first that is known to the end of the window.
      select min(substr(b.now, 1, 10), coalesce((select min(known.day) from known), substr(b.now, 1, 10)))
      union all
      select date(day, '+1 day') from day where date(day, '+1 day') < b.window_end
    ),
    seen as (
      select
        day.day,
        iif(day.day < substr(b.now, 1, 10), coalesce(sum(known.value), 0), null) as value,
        -- How much of the day lies in the window so far, and how much is still to come?
        max(0, min(julianday(day.day, '+1 day'), julianday(b.now)) - max(julianday(day.day), julianday(b.window_start))) as used,
        max(0, min(julianday(day.day, '+1 day'), julianday(b.window_end)) - max(julianday(day.day), julianday(b.now))) as open
      from day
      left join known on known.day = day.day
      group by day.day
    ),
    alike as (
      select *, iif(count(value) over () < 14, '', strftime('%w', day)) as weekday from seen
    ),
    ranked as (
      select
        *,
        row_number() over (partition by weekday, value is null order by value) as place,
        count(value) over (partition by weekday) as number
      from alike
    ),
    profile as (
      select
        count(value) as days,
        avg(iif(place between (number + 3) / 4 and number + 1 - (number + 3) / 4, value, null)) as mean,
        max(iif(place = (number + 3) / 4, value, null)) as low,
        max(iif(place = number + 1 - (number + 3) / 4, value, null)) as high,
        sum(used) as used,
        sum(open) as open
      from ranked
      group by weekday
    )
    select json_array(
      sum(days), sum(used), sum(open), sum(days * mean) / nullif(sum(days), 0),
      sum(mean * used), sum(mean * open), iif(sum(days) < 3, null, sum(low * open)), iif(sum(days) < 3, null, sum(high * open))
    )
    from profile
  )))) as expected
),
foreseen as (
  select
    *,
    -- How the days of this window compare with the average ones, which count for one day more.
    (spent + mean) / nullif(mean_used + mean, 0) as pace,
    iif(used < (used + open) / 48.0, null, spent / used * open) as going_on,
    (
      select max(value) from (select value from json_each(told.steps) union select 100 union select told.hard_percent)
      where case
          when told.limit_tokens is not null then told.tokens * 100 >= value * told.limit_tokens
          -- Both amounts times a hundred, in two parts that fit into 64 bits.
          else (told.spent_whole * 100 + told.spent_rest * 100 / 244140625, told.spent_rest * 100 % 244140625)
            >= (told.limit_whole * value + told.limit_rest * value / 244140625, told.limit_rest * value % 244140625)
        end
    ) as reached
  from told
),
figured as (
  select
    *,
    iif(spent > 0, spent + iif(days > 0, coalesce(pace * mean_open, going_on), going_on), null) as forecast,
    iif(pace is null, null, spent + pace * low_open) as forecast_low,
    iif(pace is null, null, spent + pace * high_open) as forecast_high,
    iif(calls > 0 and spent = 0 and unknown_calls = calls, null, spent) as known,
    coalesce(limit_tokens, limit_whole / 4096.0 + limit_rest / 1e12) as total
  from foreseen
)
select
  scope,
  key,
  period,
  -- The nearest double, see daily_cost.
  cast(iif(
    abs(limit_whole + limit_rest / 244140625) < 36893488,
    (limit_whole * 244140625 + limit_rest) / 1e12,
    (limit_whole + limit_rest / 244140625) / 4096.0 + limit_rest % 244140625 / 1e12
  ) as real) as limit_usd,
  cast(iif(known is null, null, iif(
    abs(spent_whole + spent_rest / 244140625) < 36893488,
    (spent_whole * 244140625 + spent_rest) / 1e12,
    (spent_whole + spent_rest / 244140625) / 4096.0 + spent_rest % 244140625 / 1e12
  )) as real) as spent_usd,
  cast(iif(limit_tokens is null, forecast, null) as real) as forecast_usd,
  cast(known * 1.0 / total as real) as used_share,
  cast(case
    when reached >= hard_percent then 'over the hard cap'
    when reached >= 100 then 'exceeded'
    when reached is not null then 'warning'
    when forecast > total then 'forecast over'
    when total is null or window is null or unknown_calls > 0 or uncosted_calls > 0 then 'incomplete'
    else 'ok'
  end as text) as state,
  budget,
  basis,
  tier,
  on_breach,
  throttle_to,
  hard_percent,
  cast(reached as integer) as reached_percent,
  window,
  window_start,
  window_end,
  zone,
  cast(iif(limit_tokens is null and forecast is not null, forecast_low, null) as real) as forecast_low_usd,
  cast(iif(limit_tokens is null and forecast is not null, forecast_high, null) as real) as forecast_high_usd,
  cast(case when forecast is null then null when pace is null then 'rate' when days < 14 then 'days' else 'weekdays' end as text)
    as forecast_method,
  cast(days as integer) as forecast_days,
  cast(case
    when forecast is null then null
    when forecast_high - forecast_low <= 0.2 * forecast then 'high'
    when forecast_high - forecast_low <= 0.5 * forecast then 'medium'
    else 'low'
  end as text) as certainty,
  limit_amount,
  currency,
  limit_tokens,
  tokens as spent_tokens,
  cast(iif(limit_tokens is not null, forecast, null) as real) as forecast_tokens,
  unknown_calls,
  uncosted_calls,
  cast((select max(valid_until) from exception_in_force where exception_in_force.budget = figured.budget) as text) as exception_until,
  cast((
    select granted_by from exception_in_force where exception_in_force.budget = figured.budget order by valid_until desc limit 1
  ) as text) as exception_by,
  cast((select min(action) from directive_in_force where directive_in_force.budget = figured.budget) as text) as directive,
  cast((select max(valid_until) from directive_in_force where directive_in_force.budget = figured.budget) as text) as directive_until,
  cast((
    select verified.verdict
    from control_event as act
    join control_event as verified on verified.cause = act.id and verified.phase = 'verify'
    where act.budget = figured.budget and act.phase = 'act' and act.verdict in ('throttled', 'blocked')
    order by verified.id desc
    limit 1
  ) as text) as verdict,
  cast((
    select json_extract(verified.detail, '$.saving_usd')
    from control_event as act
    join control_event as verified on verified.cause = act.id and verified.phase = 'verify'
    where act.budget = figured.budget and act.phase = 'act' and act.verdict in ('throttled', 'blocked')
    order by verified.id desc
    limit 1
  ) as real) as saving_usd,
  budget_id,
  now
from figured
