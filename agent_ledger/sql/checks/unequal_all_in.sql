/* Does everything together sum to the LLM calls, the tool calls that have a cost of their own, and the cloud bills? */
with stated as (
  select cost_picos, 1 as calls, 0 as tool_calls from call_cost
  union all
  select iif(cost_source = 'allocated', null, cost_picos), 0, 1 from tool_cost
  union all
  select cost_picos, 0, 0 from billed_charge where kind = 'cloud'
),
total as (
  select coalesce(sum(cost_picos / 244140625), 0) as whole, coalesce(sum(cost_picos % 244140625), 0) as rest,
    coalesce(sum(calls), 0) as calls, coalesce(sum(tool_calls), 0) as tool_calls
  from stated
),
cube as (
  select coalesce(sum(llm_4096ths), 0) + coalesce(sum(tool_4096ths), 0) as whole,
    coalesce(sum(llm_picos), 0) + coalesce(sum(tool_picos), 0) as rest,
    coalesce(sum(calls), 0) as calls, coalesce(sum(tool_calls), 0) as tool_calls
  from daily_all_in
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
