/*
What did each request cost, all in? Its LLM calls and the tool calls they asked for.

Where several observers recorded one response under ids of their own, its tool calls are with the request that counts.
Tool calls without a request are not here, nor is what no call claimed of the bills.

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
with parts as (
  select request_id, id as place, agent_id, customer_id, 1 as calls, 0 as tool_calls, cost_picos as llm_picos, null as tool_picos
  from call_cost
  union all
  select request_id, 4611686018427387904 + id, agent_id, customer_id, 0, 1, null, cost_picos  -- after all LLM calls
  from tool_cost
  where request_id is not null
),
summed as (
  select
    request_id,
    min(place),  -- SQLite takes the bare columns below from the row with the minimum
    agent_id,
    customer_id,
    sum(calls) as calls,
    sum(tool_calls) as tool_calls,
    coalesce(sum(llm_picos / 244140625), iif(sum(calls) = 0, 0, null)) as llm_whole,
    coalesce(sum(llm_picos % 244140625), iif(sum(calls) = 0, 0, null)) as llm_rest,
    coalesce(sum(tool_picos / 244140625), iif(sum(tool_calls) = 0, 0, null)) as tool_whole,
    coalesce(sum(tool_picos % 244140625), iif(sum(tool_calls) = 0, 0, null)) as tool_rest,
    sum(coalesce(llm_picos, tool_picos) / 244140625) as whole,
    sum(coalesce(llm_picos, tool_picos) % 244140625) as rest,
    sum(calls) - count(llm_picos) as unpriced_calls,
    sum(tool_calls) - count(tool_picos) as uncosted_calls
  from parts
  group by request_id
)
select
  cast(request_id as text) as request_id,
  cast(agent_id as text) as agent_id,
  cast(customer_id as text) as customer_id,
  cast(calls as integer) as calls,
  cast(tool_calls as integer) as tool_calls,
  -- The nearest double, see daily_cost.
  cast(iif(
    abs(llm_whole + llm_rest / 244140625) < 36893488,
    (llm_whole * 244140625 + llm_rest) / 1e12,
    (llm_whole + llm_rest / 244140625) / 4096.0 + llm_rest % 244140625 / 1e12
  ) as real) as llm_usd,
  cast(iif(
    abs(tool_whole + tool_rest / 244140625) < 36893488,
    (tool_whole * 244140625 + tool_rest) / 1e12,
    (tool_whole + tool_rest / 244140625) / 4096.0 + tool_rest % 244140625 / 1e12
  ) as real) as tool_usd,
  cast(iif(
    abs(whole + rest / 244140625) < 36893488,
    (whole * 244140625 + rest) / 1e12,
    (whole + rest / 244140625) / 4096.0 + rest % 244140625 / 1e12
  ) as real) as all_in_usd,
  cast(unpriced_calls as integer) as unpriced_calls,
  cast(uncosted_calls as integer) as uncosted_calls
from summed
