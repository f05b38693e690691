/*
LLM calls

Each at the price in force when it was made.

Reads: call_cost.
*/
select
  ts, agent_id, team, feature, customer_id, provider, model, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens,
  cost_source, price_source, anomaly, cost_usd
from call_cost
where request_id = :request_id
order by ts, part, id
