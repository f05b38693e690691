/*
Which ids were recorded twice with different content? Both rows are kept, one of them counts.

Grain: one row per ledger or audit row that does not count because another contradicts it.
Reads: superseded_call, ledger, superseded_tool_call, audit.

kind          text     llm: ledger rows; tool: audit rows
request_id    text     The request. NULL: a tool call without one
other_id      text     The response or tool call that both tell of. NULL: not recorded
counted_row   integer  id of the row that counts
rejected_row  integer  id of the row that does not
counted       text     What the row that counts says
rejected      text     What the other says
*/
select
  cast('llm' as text) as kind,
  cast(rejected.request_id as text) as request_id,
  cast(coalesce(rejected.response_id, counted.response_id) as text) as other_id,
  cast(counted.id as integer) as counted_row,
  cast(rejected.id as integer) as rejected_row,
  cast(counted.agent_id || ', ' || counted.model || ', ' || coalesce(counted.prompt_tokens, '?') || ' in, ' || coalesce(counted.completion_tokens, '?') || ' out' as text) as counted,
  cast(rejected.agent_id || ', ' || rejected.model || ', ' || coalesce(rejected.prompt_tokens, '?') || ' in, ' || coalesce(rejected.completion_tokens, '?') || ' out' as text) as rejected
from superseded_call
join ledger as rejected on rejected.id = superseded_call.id
join ledger as counted on counted.id = superseded_call.by_id
where superseded_call.reason = 'conflict'
union all
select
  'tool',
  rejected.request_id,
  rejected.tool_call_id,
  counted.id,
  rejected.id,
  counted.tool || ', ' || coalesce(counted.resource_id, 'no resource'),
  rejected.tool || ', ' || coalesce(rejected.resource_id, 'no resource')
from superseded_tool_call
join audit as rejected on rejected.id = superseded_tool_call.id
join audit as counted on counted.id = superseded_tool_call.by_id
where superseded_tool_call.reason = 'conflict'
