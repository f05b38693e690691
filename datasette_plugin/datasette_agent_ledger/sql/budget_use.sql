/*
How much of its budget has each {axis} used?

Reads: budget_status.
*/
select key as {axis}, budget, period, limit_usd, spent_usd, used_share, forecast_usd, state
from budget_status
where scope = '{axis}'
order by used_share desc
