create table directive (
  -- What the runtime must do from now on, until when, and why. Rows are never changed or removed: a later row that names
  -- this one in `lifts` ends it early. In force: issued, not lifted, and now < valid_until.
  id integer primary key,
  valid_from text not null check (valid_from is strftime('%Y-%m-%dT%H:%M:%fZ', valid_from, '+0 days')),  -- when it was issued
  valid_until text not null check (valid_until is strftime('%Y-%m-%dT%H:%M:%fZ', valid_until, '+0 days')),  -- the end of the budget's window
  scope text not null check (scope in ('agent', 'team', 'feature', 'customer', 'model', 'everything')),
  key text not null check (key <> ''),  -- whose calls: an agent_id, a team, …; (everything)
  action text not null check (action in ('throttle', 'block', 'lift')),
  throttle_to text  -- model, or pattern with * and ? -> the model to use instead, a JSON object: the first that matches counts
    check (throttle_to is null or iif(json_valid(throttle_to), json_type(throttle_to) = 'object', 0)),
  budget text not null,  -- budget.name
  reason text not null check (reason <> ''),  -- a sentence with the numbers
  event_id integer not null references control_event (id),  -- the `decide` that it follows from
  lifts integer unique references directive (id),  -- the directive that ends at valid_from; NULL: none
  check ((action = 'throttle') = (throttle_to is not null)),
  check (action <> 'lift' or lifts is not null)
) strict;

create index directive_valid_until on directive (valid_until);
create index directive_scope_key on directive (scope, key, valid_until);

create trigger directive_no_update before update on directive begin
  select raise(abort, 'directives are never changed: lift it by a later row');
end;

create trigger directive_no_delete before delete on directive begin
  select raise(abort, 'directives are never removed: lift it by a later row');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger directive_no_replace before insert on directive when exists (select 1 from directive where id = new.id) begin
  select raise(abort, 'directives are never changed: lift it by a later row');
end;
