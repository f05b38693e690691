/*
Which budgets may be overrun now, who said so, and until when?

Grain: one row per exception that holds: granted, not over and not revoked.
Reads: moment, budget_exception.

exception_id  integer  budget_exception.id
budget        text     budget.name
valid_from    text     From this moment on, ISO 8601 UTC
valid_until   text     Up to, not including, this one
granted_by    text     Who granted it
reason        text     NULL: not said
*/
select
  granted.id as exception_id,
  granted.budget,
  granted.valid_from,
  granted.valid_until,
  granted.granted_by,
  granted.reason
from moment
join budget_exception as granted on granted.valid_from <= moment.now and granted.valid_until > moment.now
where granted.revokes is null
  and not exists (
    select 1 from budget_exception as later where later.revokes = granted.id and later.valid_from <= moment.now
  )
