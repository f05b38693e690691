/*
Which tool calls name a request that the ledger does not have?

They have no agent but their own. Record the LLM call with the same request_id, or instrument the client that made it.

Reads: orphan_tool_calls.
*/
select ts, request_id, tool_call_id, tool, server, agent_id, resource_id
from orphan_tool_calls
order by ts desc
limit 100
