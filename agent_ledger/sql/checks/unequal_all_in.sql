/*
Does everything together sum to the LLM calls, the tool calls that have a cost of their own, and the cloud bills? Calls are
compared from when on all of them are in the file, and not archived; tool calls with a cost never are, unless a price that was
set later makes them so.
*/
with kept as (
  select
    coalesce(max(iif(source = 'ledger', until, null)), '') as calls_since,
    coalesce(max(iif(source = 'audit', until, null)), '') as tool_calls_since,
    coalesce(max(source = 'audit'), 0) and exists (select 1 from tool_price) as is_priced_later
  from archive
),
stated as (
  select cost_picos, 1 as calls, 0 as tool_calls from call_cost where ts >= (select calls_since from kept)
  union all
  select iif(cost_source = 'allocated' or is_priced_later, null, cost_picos), 0, ts >= tool_calls_since
  from tool_cost, kept
  union all
  select iif(is_priced_later, null, cost_picos), 0, 0 from billed_charge, kept where kind = 'cloud'
),
total as (
  select coalesce(sum(cost_picos / 244140625), 0) as whole, coalesce(sum(cost_picos % 244140625), 0) as rest,
    coalesce(sum(calls), 0) as calls, coalesce(sum(tool_calls), 0) as tool_calls
  from stated
),
cube as (
  select
    coalesce(sum(iif(day >= calls_day, llm_4096ths, 0)), 0) + coalesce(sum(iif(is_priced_later, 0, tool_4096ths)), 0) as whole,
    coalesce(sum(iif(day >= calls_day, llm_picos, 0)), 0) + coalesce(sum(iif(is_priced_later, 0, tool_picos)), 0) as rest,
    coalesce(sum(iif(day >= calls_day, calls, 0)), 0) as calls,
    coalesce(sum(iif(day >= tool_calls_day, tool_calls, 0)), 0) as tool_calls
  from daily_all_in,
    (select substr(calls_since, 1, 10) as calls_day, substr(tool_calls_since, 1, 10) as tool_calls_day, is_priced_later from kept)
)
select
  'daily_all_in' as subject,
  printf(
    'it sums to %d calls, %d tool calls and %.6f USD, the calls and the bills to %d, %d and %.6f: allocate the bills anew',
    cube.calls, cube.tool_calls, cube.whole / 4096.0 + cube.rest / 1e12,
    total.calls, total.tool_calls, total.whole / 4096.0 + total.rest / 1e12
  ) as problem
from total, cube
where (cube.whole - total.whole) * 244140625 + cube.rest - total.rest <> 0  -- whatever the signs of the parts
  or (total.calls, total.tool_calls) <> (cube.calls, cube.tool_calls)
