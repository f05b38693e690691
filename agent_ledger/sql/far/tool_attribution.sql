/*
Which LLM call asked for each tool call? All that a tool call says, with the request, agent, feature and customer of that LLM call.

The view of that name in sql/views follows, for each tool call, from one account to the next; here all are followed at once.

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
with recursive followed as (
  select id, by_id from superseded_call
  union all
  select followed.id, superseded_call.by_id
  from followed
  join superseded_call on superseded_call.id = followed.by_id
),
asking as (
  -- The first account that counts, else what the first of all leads to.
  select
    ledger.request_id,
    coalesce(min(iif(superseded_call.id is null, ledger.id, null)), min(first.by_id)) as id
  from ledger
  left join superseded_call on superseded_call.id = ledger.id
  left join (
    select followed.id, followed.by_id
    from followed
    join (select min(id) as id from ledger group by request_id) as named on named.id = followed.id
    where followed.by_id not in (select id from superseded_call)
  ) as first on first.id = ledger.id
  group by ledger.request_id
)
select
  audit.id,
  audit.ts,
  cast(ledger.id as integer) as call_id,
  cast(coalesce(ledger.request_id, audit.request_id) as text) as request_id,
  audit.tool_call_id,
  audit.tool,
  audit.server,
  cast(coalesce(audit.agent_id, ledger.agent_id, '(unattributed)') as text) as agent_id,
  ledger.feature,
  ledger.customer_id,
  audit.resource_id,
  audit.operation,
  audit.units,
  audit.unit,
  audit.duration_ms,
  audit.status,
  cast(audit.cost_usd as real) as reported_usd
from audit
left join asking on asking.request_id = audit.request_id
left join ledger on ledger.id = asking.id
