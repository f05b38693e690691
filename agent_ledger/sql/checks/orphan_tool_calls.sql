/* Which tool calls belong to a request that the ledger does not have? */
select
  tool_call_id as subject,
  coalesce('request ' || request_id || ' is not in the ledger', 'it names no request') || ': record the LLM call with the same request_id' as problem
from orphan_tool_calls
