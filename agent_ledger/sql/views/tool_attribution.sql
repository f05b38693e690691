/*
Which LLM call asked for each tool call? All that a tool call says, with the request, agent, feature and customer of that LLM call.

Where the LLM call that asked does not count, because another row tells of the same inference, the tool call belongs to the
request of that row: it is where the cost is.

Grain: one row per audit row, whether it counts or not.
Reads: audit, ledger, superseded_call.

id            integer  audit.id
ts            text     When the call was made, ISO 8601 UTC
call_id       integer  ledger.id of the LLM call that asked for it. NULL: it is not in the ledger
request_id    text     Its request, or what the tool call says. NULL: not known
tool_call_id  text     The tool call
tool          text     The tool
server        text     Who offers it. NULL: not recorded
agent_id      text     As recorded, else the agent of the LLM call, or (unattributed)
feature       text     As stamped on the LLM call. NULL: not stamped
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
    ) as asking_id
  from audit
)
select
  asked.id,
  asked.ts,
  cast(ledger.id as integer) as call_id,
  cast(coalesce(ledger.request_id, asked.request_id) as text) as request_id,
  asked.tool_call_id,
  asked.tool,
  asked.server,
  cast(coalesce(asked.agent_id, ledger.agent_id, '(unattributed)') as text) as agent_id,
  ledger.feature,
  ledger.customer_id,
  asked.resource_id,
  asked.operation,
  asked.units,
  asked.unit,
  asked.duration_ms,
  asked.status,
  cast(asked.cost_usd as real) as reported_usd
from asked
left join ledger on ledger.id = asked.asking_id
