/*
Which agents worked for one customer, and what did they cost?

since and until are days (UTC), until not included.

Reads: daily_cost.
*/
select
  agent_id,
  sum(calls) as calls,
  sum(cost_4096ths) / 4096.0 + sum(cost_picos) / 1e12 as cost_usd,
  sum(unpriced_calls) as unpriced_calls
from daily_cost
where customer_id = :customer_id and day >= :since and day < :until
group by agent_id
order by cost_usd desc
