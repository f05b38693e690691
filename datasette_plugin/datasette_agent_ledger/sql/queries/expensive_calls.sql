/*
Which calls of a day cost most?

day is a UTC day such as 2026-10-15.

Reads: call_cost.
*/
select ts, agent_id, request_id, customer_id, model, prompt_tokens, completion_tokens, cost_usd
from call_cost
where ts >= :day and ts < date(:day, '+1 day')
order by cost_usd desc
limit 100
