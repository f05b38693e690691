/*
What must the runtime do now, for whom, until when, and why?

Grain: one row per directive that is neither over nor lifted.
Reads: moment, directive.

directive_id  integer  directive.id
scope         text     agent, team, feature, customer, model or everything
key           text     Whose calls
action        text     throttle or block
throttle_to   text     Model, or pattern with * and ? -> the model to use instead, a JSON object: the first that matches counts
valid_from    text     When it was issued, ISO 8601 UTC
valid_until   text     When it ends at the latest
budget        text     budget.name
reason        text     A sentence with the numbers
event_id      integer  control_event.id of the decision
*/
select
  directive.id as directive_id,
  directive.scope,
  directive.key,
  directive.action,
  directive.throttle_to,
  directive.valid_from,
  directive.valid_until,
  directive.budget,
  directive.reason,
  directive.event_id
from moment
join directive on directive.valid_until > moment.now
where directive.action <> 'lift'
  and not exists (select 1 from directive as later where later.lifts = directive.id)
