/*
Who may overrun a budget, and who said so?

Reads: budget_exception.
*/
select budget, valid_from, valid_until, granted_by, reason, recorded_at
from budget_exception
where revokes is null
order by id desc
limit 50
