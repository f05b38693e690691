/*
Which tool calls name a request that the ledger does not have?

Grain: one row per audit row that counts and whose request_id is not in the ledger; those without a request_id too.
Reads: audit, superseded_tool_call, ledger, tool_orphan, rollup_state.

id            integer  audit.id
ts            text     When the call was made, ISO 8601 UTC
request_id    text     The request that is missing. NULL: none was recorded
tool_call_id  text     The tool call
tool          text     The tool
server        text     Who offers it. NULL: not recorded
agent_id      text     Who called it. NULL: not recorded
resource_id   text     What it touched. NULL: nothing billable
*/
select id, ts, request_id, tool_call_id, tool, server, agent_id, resource_id
from audit
where id in (select id from tool_orphan) and id <= (select audit_row from rollup_state)
  and not exists (select 1 from superseded_tool_call where superseded_tool_call.id = audit.id)
  and not exists (select 1 from ledger where ledger.request_id = audit.request_id)
union all
select id, ts, request_id, tool_call_id, tool, server, agent_id, resource_id
from audit
where id > (select audit_row from rollup_state)
  and not exists (select 1 from superseded_tool_call where superseded_tool_call.id = audit.id)
  and not exists (select 1 from ledger where ledger.request_id = audit.request_id)
