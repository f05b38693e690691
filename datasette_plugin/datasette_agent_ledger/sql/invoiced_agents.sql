/*
Which agents does each invoice go to?

Agents and (unattributed) add up to the invoice: calls that nobody claims, and the difference to the ledger.

Reads: invoice_by_agent.
*/
select month, provider, agent_id, cost_usd, calls, unpriced_calls
from invoice_by_agent
where month = :month
order by provider, cost_usd desc
