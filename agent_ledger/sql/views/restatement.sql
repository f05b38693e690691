/*
What was reported for each closed month, what is it today, and why do the two differ?

Only what differs is listed, in money or in the number of calls, and the total of every closed month in any case: LLM
calls, tool calls and unallocated charges together; on the axis model, LLM calls alone.

Grain: one row per closed month, axis and key whose figures differ, and one per total.
Reads: closed_month, closed_figure, monthly_figure, restatement_cause.
Sums to: on each axis but model, the difference of the total, exactly.

month                 text     UTC month, YYYY-MM
axis                  text     agent, team, feature, customer, model, day or total
key                   text     The agent, team, …, (unattributed) or (unallocated); empty: of the total
closed_usd            real     US dollars as they were reported. NULL: no cost was known
restated_usd          real     US dollars as they are today. NULL: no cost is known
difference_usd        real     What came on top since, of what is known; negative: what fell away
calls_difference      integer  Inferences more than were reported
tool_calls_difference integer  Tool calls more than were reported
difference_4096ths    integer  difference_usd exactly, first part: whole 4096ths of a dollar, rounded down
difference_picos      integer  Second part: the remaining pico-dollars (1e-12 USD), 0 to 244140624
cause                 text     late calls, prices, assignment, bills, exchange rates, allocation rules; joined by commas. NULL: none is known
*/
with figures as (
  select
    closed_month.month, axis, key, -1 as sign, calls, unpriced_calls, llm_4096ths, llm_picos,
    tool_calls, uncosted_calls, tool_4096ths, tool_picos
  from closed_month
  join closed_figure on closed_figure.close_id = closed_month.close_id
  union all
  select
    month, axis, key, 1, calls, unpriced_calls, llm_4096ths, llm_picos,
    tool_calls, uncosted_calls, tool_4096ths, tool_picos
  from monthly_figure
  where exists (select 1 from closed_month) and month in (select month from closed_month)  -- none closed: nothing is summed
),
added as (
  select
    *,
    coalesce(llm_4096ths + tool_4096ths, llm_4096ths, tool_4096ths, 0) as both_4096ths,
    coalesce(llm_picos + tool_picos, llm_picos, tool_picos, 0) as both_picos,
    -- What was not called costs nothing; what nobody knows the cost of is not nothing.
    coalesce(llm_4096ths, tool_4096ths) is null and unpriced_calls + coalesce(uncosted_calls, 0) > 0 as is_unknown
  from figures
),
compared as (
  select
    month,
    axis,
    key,
    sum(sign * calls) as calls,
    sum(sign * coalesce(tool_calls, 0)) as tool_calls,
    sum(sign * calls) <> 0
      or sum(sign * unpriced_calls) <> 0
      or sum(sign * coalesce(llm_4096ths, 0)) <> 0
      or sum(sign * coalesce(llm_picos, 0)) <> 0 as llm_differs,
    sum(sign * coalesce(tool_calls, 0)) <> 0
      or sum(sign * coalesce(uncosted_calls, 0)) <> 0
      or sum(sign * coalesce(tool_4096ths, 0)) <> 0
      or sum(sign * coalesce(tool_picos, 0)) <> 0 as tool_differs,
    sum(sign < 0 and is_unknown) as was_unknown,
    sum(sign > 0 and is_unknown) as is_unknown,
    sum(iif(sign < 0, both_4096ths, 0)) as closed_whole,
    sum(iif(sign < 0, both_picos, 0)) as closed_rest,
    sum(iif(sign > 0, both_4096ths, 0)) as restated_whole,
    sum(iif(sign > 0, both_picos, 0)) as restated_rest
  from added
  group by 1, 2, 3
),
amounts as (
  select month, axis, key, 'closed' as what, closed_whole as whole, closed_rest as rest from compared where not was_unknown
  union all
  select month, axis, key, 'restated', restated_whole, restated_rest from compared where not is_unknown
  union all
  select month, axis, key, 'difference', restated_whole - closed_whole, restated_rest - closed_rest from compared
),
valued as (
  select
    month, axis, key, what,
    -- The nearest double, see daily_cost.
    iif(
      abs(whole + rest / 244140625) < 36893488,
      (whole * 244140625 + rest) / 1e12,
      (whole + rest / 244140625) / 4096.0 + rest % 244140625 / 1e12
    ) as usd,
    whole + rest / 244140625 - (rest % 244140625 < 0) as floor_4096ths,
    rest % 244140625 + iif(rest % 244140625 < 0, 244140625, 0) as floor_picos
  from amounts
),
dollars as (
  select
    month, axis, key,
    max(iif(what = 'closed', usd, null)) as closed_usd,
    max(iif(what = 'restated', usd, null)) as restated_usd,
    max(iif(what = 'difference', usd, null)) as difference_usd,
    max(iif(what = 'difference', floor_4096ths, null)) as difference_4096ths,
    max(iif(what = 'difference', floor_picos, null)) as difference_picos
  from valued
  group by 1, 2, 3
),
known as (
  select * from restatement_cause
),
caused as (
  select compared.month, compared.axis, compared.key, known.cause
  from compared
  join known on known.month = compared.month and known.axis = compared.axis and known.key = compared.key
  where iif(known.part = 'llm', compared.llm_differs, compared.tool_differs)
  union all
  select compared.month, compared.axis, compared.key, known.cause
  from compared
  join known on known.month = compared.month and known.axis is null
  where iif(known.part = 'llm', compared.llm_differs, compared.tool_differs)
),
causes as (
  select
    month,
    axis,
    key,
    rtrim(
      iif(max(cause = 'allocation rules'), 'allocation rules, ', '')
        || iif(max(cause = 'assignment'), 'assignment, ', '')
        || iif(max(cause = 'bills'), 'bills, ', '')
        || iif(max(cause = 'exchange rates'), 'exchange rates, ', '')
        || iif(max(cause = 'late calls'), 'late calls, ', '')
        || iif(max(cause = 'prices'), 'prices, ', ''),
      ', '
    ) as causes
  from caused
  group by 1, 2, 3
)
select
  cast(month as text) as month,
  cast(axis as text) as axis,
  cast(key as text) as key,
  cast(closed_usd as real) as closed_usd,
  cast(restated_usd as real) as restated_usd,
  cast(difference_usd as real) as difference_usd,
  cast(calls as integer) as calls_difference,
  cast(tool_calls as integer) as tool_calls_difference,
  cast(difference_4096ths as integer) as difference_4096ths,
  cast(difference_picos as integer) as difference_picos,
  cast(causes as text) as cause
from compared
join dollars using (month, axis, key)
left join causes using (month, axis, key)
where llm_differs or tool_differs or axis = 'total'
