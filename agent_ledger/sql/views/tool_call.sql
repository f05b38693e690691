/*
Who made each tool call, for whom? Every view of tool costs reads tool calls from here and from nowhere else.

Where the LLM call that asked does not count, because another row tells of the same inference, the tool call belongs to the
request of that row: it is where the cost is.

Grain: one row per tool call that counts: audit rows without those in superseded_tool_call.
Reads: audit, superseded_tool_call, ledger, superseded_call, assignment.

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
with asked as (
  select
    audit.*,
    coalesce(
      (
        select id from ledger
        where ledger.request_id = audit.request_id
          and not exists (select 1 from superseded_call where superseded_call.id = ledger.id)
        order by id
        limit 1
      ),
      (
        with followed as (
          select min(id) as id from ledger where ledger.request_id = audit.request_id
          union
          select superseded_call.by_id from followed join superseded_call on superseded_call.id = followed.id
        )
        select id from followed
        where not exists (select 1 from superseded_call where superseded_call.id = followed.id)
      )
    ) as call_id
  from audit
  where not exists (select 1 from superseded_tool_call where superseded_tool_call.id = audit.id)
)
select
  asked.id,
  asked.ts,
  cast(coalesce(ledger.request_id, asked.request_id) as text) as request_id,
  asked.tool_call_id,
  asked.tool,
  asked.server,
  cast(coalesce(asked.agent_id, ledger.agent_id, '(unattributed)') as text) as agent_id,
  assignment.team,
  cast(coalesce(ledger.feature, assignment.feature) as text) as feature,
  assignment.owner,
  ledger.customer_id,
  asked.resource_id,
  asked.operation,
  asked.units,
  asked.unit,
  asked.duration_ms,
  asked.status,
  asked.cost_usd as reported_usd
from asked
left join ledger on ledger.id = asked.call_id
left join assignment
  on assignment.agent_id = coalesce(asked.agent_id, ledger.agent_id)
  and asked.ts >= assignment.valid_from
  and asked.ts < assignment.valid_to
