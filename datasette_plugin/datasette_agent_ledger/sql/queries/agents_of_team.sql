/*
What did the agents of one team cost, and on which models?

since and until are days (UTC), until not included.

Reads: daily_cost.
*/
select
  agent_id,
  model,
  sum(calls) as calls,
  sum(cost_4096ths) / 4096.0 + sum(cost_picos) / 1e12 as cost_usd,
  sum(unpriced_calls) as unpriced_calls
from daily_cost
where team = :team and day >= :since and day < :until
group by agent_id, model
order by cost_usd desc
