/*
Who made each tool call, for whom? The tool calls that count; every view of tool costs reads tool calls from here and from nowhere else.

Grain: one row per tool call that counts: audit rows without those in superseded_tool_call.
Reads: tool_attribution, superseded_tool_call, assignment.

id            integer  audit.id
ts            text     When the call was made, ISO 8601 UTC
request_id    text     The request of the LLM call that asked for it. NULL: not known
tool_call_id  text     The tool call
tool          text     The tool
server        text     Who offers it. NULL: not recorded
agent_id      text     As recorded, else the agent of the LLM call, or (unattributed)
team          text     The agent's team at that time. NULL: none
feature       text     As stamped on the LLM call, else the agent's at that time. NULL: none
owner         text     Who answers for the agent. NULL: nobody
customer_id   text     Of the LLM call. NULL: nobody's, or not known
resource_id   text     What it touched. NULL: nothing billable
operation     text     NULL: not recorded
units         real     How much, in unit. NULL: not recorded
unit          text     NULL: not recorded
duration_ms   integer  NULL: not recorded
status        text     ok or error. NULL: not known
reported_usd  real     What the tool says it cost. NULL: it does not say
*/
select
  said.id,
  said.ts,
  said.request_id,
  said.tool_call_id,
  said.tool,
  said.server,
  said.agent_id,
  assignment.team,
  cast(coalesce(said.feature, assignment.feature) as text) as feature,
  assignment.owner,
  said.customer_id,
  said.resource_id,
  said.operation,
  said.units,
  said.unit,
  said.duration_ms,
  said.status,
  said.reported_usd
from tool_attribution as said
left join assignment
  on assignment.agent_id = said.agent_id
  and said.ts >= assignment.valid_from
  and said.ts < assignment.valid_to
where not exists (select 1 from superseded_tool_call where superseded_tool_call.id = said.id)
