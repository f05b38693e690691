/*
What did each request cost, all in? Its LLM calls and the tool calls they asked for.

Where several observers recorded one response under ids of their own, its tool calls are with the request that counts.
Tool calls without a request are not here, nor is what no call claimed of the bills.

Grain: one row per request_id of LLM calls and tool calls.
Reads: call_cost, tool_cost, audit, ledger, tool_orphan, rollup_state.

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
  select
    request_id,
    min(id),  -- SQLite takes the bare columns below from the row with the minimum
    agent_id,
    customer_id,
    count(*) as calls,
    sum(cost_picos / 244140625) as llm_whole,
    sum(cost_picos % 244140625) as llm_rest,
    count(*) - count(cost_picos) as unpriced_calls,
    (
      select json_array(
        count(*), count(*) - count(used.cost_picos), sum(used.cost_picos / 244140625), sum(used.cost_picos % 244140625)
      )
      from tool_cost as used
      where used.request_id = call_cost.request_id
        and used.id in (
          select audit.id from audit where audit.request_id = call_cost.request_id
          union
          select audit.id  -- under the ids of other observers of the same responses, see ledger_same_inference
          from ledger as counted
          join ledger as other
            on substr(other.response_id, -8) = substr(counted.response_id, -8)
            and other.response_id = counted.response_id
            and other.request_id <> counted.request_id
          join audit on audit.request_id = other.request_id
          where counted.request_id = call_cost.request_id and length(counted.response_id) >= 20
        )
    ) as tools
  from call_cost
  group by request_id
  union all
  select
    audit.request_id,
    min(audit.id),
    used.agent_id,
    null,
    0,
    null,
    null,
    0,
    json_array(
      count(*), count(*) - count(used.cost_picos), sum(used.cost_picos / 244140625), sum(used.cost_picos % 244140625)
    )
  from audit
  join tool_cost as used on used.id = audit.id
  where (audit.id in (select id from tool_orphan) or audit.id > (select audit_row from rollup_state))
    and audit.request_id is not null
    and not exists (select 1 from ledger where ledger.request_id = audit.request_id)
  group by audit.request_id
),
read as (
  select
    *,
    json_extract(tools, '$[0]') as tool_calls,
    json_extract(tools, '$[1]') as uncosted_calls,
    json_extract(tools, '$[2]') as tool_whole,
    json_extract(tools, '$[3]') as tool_rest
  from parts
),
known as (
  select
    *,
    coalesce(llm_whole + tool_whole, llm_whole, tool_whole) as whole,
    coalesce(llm_rest + tool_rest, llm_rest, tool_rest) as rest
  from read
)
select
  request_id,
  agent_id,
  customer_id,
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
