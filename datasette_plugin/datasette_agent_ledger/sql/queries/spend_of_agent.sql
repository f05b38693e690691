/*
What did one agent spend per day?

agent_id as it is in the ledger; since and until are days (UTC), until not included.

Reads: daily_cost.
*/
select
  day,
  sum(calls) as calls,
  sum(prompt_tokens) as prompt_tokens,
  sum(completion_tokens) as completion_tokens,
  sum(cost_4096ths) / 4096.0 + sum(cost_picos) / 1e12 as cost_usd,
  sum(unpriced_calls) as unpriced_calls
from daily_cost
where agent_id = :agent_id and day >= :since and day < :until
group by day
order by day
