/*
What was spent in each month, all in? LLM calls, tool calls, and what nobody claimed of the bills.

Grain: one row per month.
Reads: all_in_part.
Sums to: daily_all_in, exactly; every axis has the same total.

month           text     UTC month, YYYY-MM
calls           integer  Inferences
tool_calls      integer  Tool calls
llm_usd         real     US dollars for LLM calls, without the unpriced ones. NULL: all are unpriced
tool_usd        real     US dollars for tool calls, without the uncosted ones, and what no call claimed of the bills. NULL: not known for any call
all_in_usd      real     Both together, as far as they are known. NULL: nothing is known
unpriced_calls  integer  LLM calls whose cost is not known
uncosted_calls  integer  Tool calls whose cost nobody says
*/
with summed as (
  select
    substr(bucket, 1, 7) as month,
    sum(calls) as calls,
    sum(tool_calls) as tool_calls,
    sum(llm_4096ths + llm_picos / 244140625) as llm_whole,
    sum(llm_picos % 244140625) as llm_rest,
    sum(tool_4096ths + tool_picos / 244140625) as tool_whole,
    sum(tool_picos % 244140625) as tool_rest,
    sum(unpriced_calls) as unpriced_calls,
    sum(uncosted_calls) as uncosted_calls
  from all_in_part
  where grain in ('month', 'call')
  group by 1
),
known as (
  select
    *,
    coalesce(llm_whole + tool_whole, llm_whole, tool_whole) as whole,
    coalesce(llm_rest + tool_rest, llm_rest, tool_rest) as rest
  from summed
)
select
  cast(month as text) as month,
  cast(calls as integer) as calls,
  cast(tool_calls as integer) as tool_calls,
  -- The nearest double, see daily_cost. What was not called costs nothing; what nobody knows the cost of is not nothing.
  cast(coalesce(iif(
    abs(llm_whole + llm_rest / 244140625) < 36893488,
    (llm_whole * 244140625 + llm_rest) / 1e12,
    (llm_whole + llm_rest / 244140625) / 4096.0 + llm_rest % 244140625 / 1e12
  ), iif(unpriced_calls = 0, 0, null)) as real) as llm_usd,
  cast(coalesce(iif(
    abs(tool_whole + tool_rest / 244140625) < 36893488,
    (tool_whole * 244140625 + tool_rest) / 1e12,
    (tool_whole + tool_rest / 244140625) / 4096.0 + tool_rest % 244140625 / 1e12
  ), iif(uncosted_calls = 0, 0, null)) as real) as tool_usd,
  cast(iif(
    abs(whole + rest / 244140625) < 36893488,
    (whole * 244140625 + rest) / 1e12,
    (whole + rest / 244140625) / 4096.0 + rest % 244140625 / 1e12
  ) as real) as all_in_usd,
  cast(unpriced_calls as integer) as unpriced_calls,
  cast(uncosted_calls as integer) as uncosted_calls
from known
