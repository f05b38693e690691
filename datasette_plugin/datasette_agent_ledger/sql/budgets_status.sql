/*
Which budgets are in danger?

Spent so far, and what the window will have cost by its end at the pace so far.

Reads: budget_status.
*/
select
  key, scope, period, limit_usd, spent_usd, used_share, forecast_usd, state, directive, verdict, saving_usd, exception_until, on_breach,
  window_end, budget
from budget_status
order by used_share desc, budget
