/*
What was spent on everything, in the period and before?

LLM calls, tool calls, and what no call claimed of the bills, which is (unallocated).

Reads: all_in_part.
Shows: all_in_by_day.
*/
with part as (
  select bucket >= :since as is_now, *
  from all_in_part
  where grain in (:grain, 'call') and bucket >= :before and bucket < :until
),
summed as (
  select
    is_now,
    sum(coalesce(llm_4096ths + llm_picos / 244140625, 0)) as llm_whole,
    sum(coalesce(llm_picos % 244140625, 0)) as llm_rest,
    sum(coalesce(tool_4096ths + tool_picos / 244140625, 0)) as tool_whole,
    sum(coalesce(tool_picos % 244140625, 0)) as tool_rest,
    sum(iif(agent_id = '(unallocated)', tool_4096ths + tool_picos / 244140625, 0)) as unallocated_whole,
    sum(iif(agent_id = '(unallocated)', tool_picos % 244140625, 0)) as unallocated_rest,
    sum(uncosted_calls) as uncosted_calls
  from part
  group by is_now
)
select
  sum(iif(is_now, llm_whole + tool_whole, null)) / 4096.0 + sum(iif(is_now, llm_rest + tool_rest, null)) / 1e12 as all_in_usd,
  sum(iif(is_now, null, llm_whole + tool_whole)) / 4096.0 + sum(iif(is_now, null, llm_rest + tool_rest)) / 1e12 as before_usd,
  sum(iif(is_now, tool_whole, null)) / 4096.0 + sum(iif(is_now, tool_rest, null)) / 1e12 as tool_usd,
  sum(iif(is_now, unallocated_whole, null)) / 4096.0 + sum(iif(is_now, unallocated_rest, null)) / 1e12 as unallocated_usd,
  coalesce(sum(iif(is_now, uncosted_calls, 0)), 0) as uncosted_calls
from summed
