/*
Which {axis} spent how much, all in?

LLM calls, tool calls, and what no call claimed of the bills, with the change against the period before.

Reads: all_in_part.
Shows: all_in_by_{axis}.
*/
with part as (
  select {key} as {axis}, bucket >= :since as is_now, *
  from all_in_part
  where grain in (:grain, 'call') and bucket >= :before and bucket < :until
),
summed as (
  select
    {axis},
    sum(iif(is_now, calls, 0)) as calls,
    sum(iif(is_now, tool_calls, 0)) as tool_calls,
    sum(iif(is_now, llm_4096ths + llm_picos / 244140625, null)) as llm_whole,
    sum(iif(is_now, llm_picos % 244140625, null)) as llm_rest,
    sum(iif(is_now, tool_4096ths + tool_picos / 244140625, null)) as tool_whole,
    sum(iif(is_now, tool_picos % 244140625, null)) as tool_rest,
    sum(iif(is_now, null, coalesce(llm_4096ths + llm_picos / 244140625, 0) + coalesce(tool_4096ths + tool_picos / 244140625, 0)))
      as before_whole,
    sum(iif(is_now, null, coalesce(llm_picos % 244140625, 0) + coalesce(tool_picos % 244140625, 0))) as before_rest,
    sum(iif(is_now, unpriced_calls, 0)) as unpriced_calls
  from part
  group by 1
),
priced as (
  select
    {axis},
    coalesce(llm_whole + tool_whole, llm_whole, tool_whole) / 4096.0 + coalesce(llm_rest + tool_rest, llm_rest, tool_rest) / 1e12
      as all_in_usd,
    llm_whole / 4096.0 + llm_rest / 1e12 as llm_usd,
    tool_whole / 4096.0 + tool_rest / 1e12 as tool_usd,
    before_whole / 4096.0 + before_rest / 1e12 as before_usd,
    calls,
    tool_calls,
    unpriced_calls
  from summed
)
select
  {axis},
  all_in_usd,
  all_in_usd / sum(all_in_usd) over () as share,
  llm_usd,
  tool_usd,
  before_usd,
  coalesce(all_in_usd, 0) - coalesce(before_usd, 0) as change_usd,
  calls,
  tool_calls,
  unpriced_calls
from priced
order by coalesce(all_in_usd, 0) desc, before_usd desc, calls desc, {axis}
