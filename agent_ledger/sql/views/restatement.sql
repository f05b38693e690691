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
  where month in (select month from closed_month)
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
-- From here on each step reads the one before it once: SQLite prepares all that a step is made of again for each reader.
amounts as (
  select
    compared.*,
    amount.column1 as what,
    case amount.column1
      when 'closed' then closed_whole
      when 'restated' then restated_whole
      else restated_whole - closed_whole
    end as whole,
    case amount.column1
      when 'closed' then closed_rest
      when 'restated' then restated_rest
      else restated_rest - closed_rest
    end as rest,
    case amount.column1 when 'closed' then was_unknown when 'restated' then is_unknown else 0 end as unknown
  from compared
  cross join (values ('closed'), ('restated'), ('difference')) as amount
),
valued as (
  select
    *,
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
    month,
    axis,
    key,
    max(calls) as calls,
    max(tool_calls) as tool_calls,
    max(llm_differs) as llm_differs,
    max(tool_differs) as tool_differs,
    max(iif(what = 'closed' and not unknown, usd, null)) as closed_usd,
    max(iif(what = 'restated' and not unknown, usd, null)) as restated_usd,
    max(iif(what = 'difference', usd, null)) as difference_usd,
    max(iif(what = 'difference', floor_4096ths, null)) as difference_4096ths,
    max(iif(what = 'difference', floor_picos, null)) as difference_picos
  from valued
  group by 1, 2, 3
)
select
  cast(dollars.month as text) as month,
  cast(dollars.axis as text) as axis,
  cast(dollars.key as text) as key,
  cast(closed_usd as real) as closed_usd,
  cast(restated_usd as real) as restated_usd,
  cast(difference_usd as real) as difference_usd,
  cast(calls as integer) as calls_difference,
  cast(tool_calls as integer) as tool_calls_difference,
  cast(difference_4096ths as integer) as difference_4096ths,
  cast(difference_picos as integer) as difference_picos,
  cast(nullif(rtrim(
    iif(max(known.cause = 'allocation rules'), 'allocation rules, ', '')
      || iif(max(known.cause = 'assignment'), 'assignment, ', '')
      || iif(max(known.cause = 'bills'), 'bills, ', '')
      || iif(max(known.cause = 'exchange rates'), 'exchange rates, ', '')
      || iif(max(known.cause = 'late calls'), 'late calls, ', '')
      || iif(max(known.cause = 'prices'), 'prices, ', ''),
    ', '
  ), '') as text) as cause
from dollars
left join restatement_cause as known
  on known.month = dollars.month
  and (known.axis is null or known.axis = dollars.axis and known.key = dollars.key)
  and iif(known.part = 'llm', dollars.llm_differs, dollars.tool_differs)
where dollars.llm_differs or dollars.tool_differs or dollars.axis = 'total'
group by dollars.month, dollars.axis, dollars.key
