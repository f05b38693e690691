/*
Rows that do not count, because another tells of the same

Reads: superseded_call, superseded_tool_call, ledger, audit.
*/
select 'llm' as kind, superseded_call.id as row, counted.request_id, superseded_call.reason
from superseded_call
join ledger on ledger.id = superseded_call.id
join ledger as counted on counted.id = superseded_call.by_id
where ledger.request_id = :request_id
union all
select 'tool', superseded_tool_call.id, counted.request_id, superseded_tool_call.reason
from superseded_tool_call
join audit on audit.id = superseded_tool_call.id
join audit as counted on counted.id = superseded_tool_call.by_id
where audit.request_id = :request_id
order by 1, 2
