/*
What did one request cost, all in?

Reads: all_in_by_request.
*/
select request_id, agent_id, customer_id, calls, tool_calls, llm_usd, tool_usd, all_in_usd, unpriced_calls, uncosted_calls
from all_in_by_request
where request_id = :request_id
