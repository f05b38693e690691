/*
Which budgets are in danger?

Spent so far, and what the window will have cost by its end at the pace so far.

Reads: budget_status.
*/
select
  budget, scope, key, period, limit_usd, spent_usd, used_share, forecast_usd, state, on_breach, directive, verdict, exception_until,
  window_start, window_end
from budget_status
order by used_share desc, budget
