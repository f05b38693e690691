/*
What did each request cost, all in? Its LLM calls and the tool calls they asked for.

The view of that name in sql/views looks up the tool calls of each request; here all are added up at once.

Grain: one row per request_id of LLM calls and tool calls.
Reads: call_cost, tool_cost.

request_id      text     The request
agent_id        text     Who made it; the first, where several did
customer_id     text     On whose behalf; the first, where there are several. NULL: nobody's
calls           integer  Inferences
tool_calls      integer  Tool calls
llm_usd         real     US dollars for LLM calls, without the unpriced ones. NULL: all are unpriced
tool_usd        real     US dollars for tool calls, without the uncosted ones. NULL: not known for any call
all_in_usd      real     Both together, as far as they are known. NULL: nothing is known
unpriced_calls  integer  LLM calls whose cost is not known
uncosted_calls  integer  Tool calls whose cost nobody says
*/
with placed as (
  select
    id,
    request_id,
    agent_id,
    customer_id,
    cost_picos,
    0 as is_tool,
    row_number() over (partition by request_id order by id) as place
  from call_cost
  union all
  select
    id,
    request_id,
    agent_id,
    null,
    cost_picos,
    1,
    row_number() over (partition by request_id order by id)
  from tool_cost
  where request_id is not null
),
summed as (
  select
    request_id,
    max(iif(is_tool, null, 1)) is not null as is_called,
    max(iif(place = 1 and not is_tool, agent_id, null)) as calling_agent_id,
    max(iif(place = 1 and is_tool, agent_id, null)) as first_agent_id,
    max(iif(place = 1 and not is_tool, customer_id, null)) as customer_id,
    sum(iif(is_tool, 0, 1)) as calls,
    sum(is_tool) as tool_calls,
    sum(iif(is_tool, null, cost_picos / 244140625)) as llm_whole,
    sum(iif(is_tool, null, cost_picos % 244140625)) as llm_rest,
    sum(iif(is_tool, cost_picos / 244140625, null)) as tool_whole,
    sum(iif(is_tool, cost_picos % 244140625, null)) as tool_rest,
    sum(iif(not is_tool and cost_picos is null, 1, 0)) as unpriced_calls,
    sum(iif(is_tool and cost_picos is null, 1, 0)) as uncosted_calls
  from placed
  group by request_id
),
known as (
  select
    *,
    iif(is_called, calling_agent_id, first_agent_id) as agent_id,
    coalesce(llm_whole + tool_whole, llm_whole, tool_whole) as whole,
    coalesce(llm_rest + tool_rest, llm_rest, tool_rest) as rest
  from summed
)
select
  request_id,
  cast(agent_id as text) as agent_id,
  cast(customer_id as text) as customer_id,
  cast(calls as integer) as calls,
  cast(tool_calls as integer) as tool_calls,
  -- The nearest double, see daily_cost.
  cast(coalesce(iif(
    abs(llm_whole + llm_rest / 244140625) < 36893488,
    (llm_whole * 244140625 + llm_rest) / 1e12,
    (llm_whole + llm_rest / 244140625) / 4096.0 + llm_rest % 244140625 / 1e12
  ), iif(calls = 0, 0, null)) as real) as llm_usd,
  cast(coalesce(iif(
    abs(tool_whole + tool_rest / 244140625) < 36893488,
    (tool_whole * 244140625 + tool_rest) / 1e12,
    (tool_whole + tool_rest / 244140625) / 4096.0 + tool_rest % 244140625 / 1e12
  ), iif(tool_calls = 0, 0, null)) as real) as tool_usd,
  cast(iif(
    abs(whole + rest / 244140625) < 36893488,
    (whole * 244140625 + rest) / 1e12,
    (whole + rest / 244140625) / 4096.0 + rest % 244140625 / 1e12
  ) as real) as all_in_usd,
  cast(unpriced_calls as integer) as unpriced_calls,
  cast(uncosted_calls as integer) as uncosted_calls
from known
