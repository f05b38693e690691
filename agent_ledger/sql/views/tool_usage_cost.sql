/*
What did tool calls cost, added up as far as they are in the rollups? The views that add up tool costs read from here, one grain each.

Ask for one grain of tool_rollup and the grain call, and you have every tool call that counts exactly once.

Grain: one row per row of tool_rollup, and one per tool call that came later.
Reads: tool_rollup_cost, tool_part, compacted, tool_loose.
Sums to: tool_cost, exactly, for each grain together with call.

grain           text     As in tool_rollup, or call
bucket          text     The UTC day or month: YYYY-MM-DD or YYYY-MM; of a call its ts
agent_id        text     Who called, or (unattributed); empty: all agents together
team            text     The agent's team at that time. NULL: none
feature         text     As stamped on the LLM calls, else the agent's at that time. NULL: none
customer_id     text     On whose behalf. NULL: nobody's, or all customers together
server          text     Who offers the tool. NULL: not recorded
tool            text     The tool
calls           integer  Tool calls
failed_calls    integer  Those that ended in an error
uncosted_calls  integer  Those whose cost nobody says
cost_4096ths    integer  Their cost exactly, first part: whole 4096ths of a dollar. Nobody says: 0, or NULL
cost_picos      integer  Second part: the remaining pico-dollars (1e-12 USD), which may be more than one 4096th. NULL: nobody says
*/
select
  grain,
  bucket,
  agent_id,
  team,
  feature,
  customer_id,
  server,
  tool,
  calls,
  failed_calls,
  uncosted_calls,
  cost_4096ths,
  cost_picos
from tool_rollup_cost
where (select audit_row from compacted) > 0
union all
select
  grain,
  bucket,
  agent_id,
  team,
  feature,
  customer_id,
  server,
  tool,
  calls,
  failed_calls,
  uncosted_calls,
  cost_4096ths,
  cost_picos
from tool_part
where id > (select audit_row from compacted)
union all
select
  grain,
  bucket,
  agent_id,
  team,
  feature,
  customer_id,
  server,
  tool,
  calls,
  failed_calls,
  uncosted_calls,
  cost_4096ths,
  cost_picos
from tool_part
where id in (select id from tool_loose) and id <= (select audit_row from compacted)
