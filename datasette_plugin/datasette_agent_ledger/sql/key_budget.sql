/*
What may it spend, and how much of that is used?

Reads: budget_status.
*/
select budget, period, limit_usd, spent_usd, used_share, forecast_usd, state, window_start, window_end
from budget_status
where scope = :scope and key = :key
order by used_share desc
