/*
What of the bills did no tool call cause, and why?

No resource, no tool call: let tools report resource_id. Not allocated yet: agent-ledger allocate. Taxes and fees have no
caller: agent-ledger share divides them.

Reads: unallocated_charge.
*/
select
  reason,
  provider,
  service,
  count(*) as charges,
  sum(cost_usd) as cost_usd,
  min(period_start) as first_ts,
  max(period_end) as last_ts
from unallocated_charge
group by reason, provider, service
order by cost_usd is null desc, cost_usd desc
limit 100
