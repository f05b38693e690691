create table policy_rule (
  -- What is done about what is found: the rule of the highest priority whose conditions all hold decides. Without one, as
  -- agent_ledger.control.policy says. Rows are never changed or removed: a later row of the same name holds from its
  -- valid_from on.
  id integer primary key,
  recorded_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    check (recorded_at is strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at, '+0 days')),
  name text not null check (trim(name) <> ''),
  event text not null check (event in ('set', 'end')),  -- end: from valid_from on there is no such rule
  valid_from text not null check (valid_from is strftime('%Y-%m-%dT%H:%M:%fZ', valid_from, '+0 days')),
  priority integer not null default 0,
  finding text check (finding in ('step', 'exceeded', 'hard cap', 'forecast', 'anomaly', 'incomplete')),  -- NULL: any, as below
  percent integer check (percent > 0),  -- of the limit, the step that is reached; NULL: any
  budget text,  -- budget.name; may hold * and ?
  scope text check (scope in ('agent', 'team', 'feature', 'customer', 'model', 'everything')),
  key text,  -- may hold * and ?
  team text,  -- the team that the agent belongs to, or whose budget it is
  tier text,  -- budget.tier
  time_from text check (time_from glob '[0-2][0-9]:[0-5][0-9]'),  -- from this time of the day in `zone`
  time_to text check (time_to glob '[0-2][0-9]:[0-5][0-9]'),  -- up to this one, of the next day where it is earlier
  weekdays text check (weekdays is null or iif(json_valid(weekdays), json_type(weekdays) = 'array', 0)),  -- 1 is Monday, 7 Sunday
  zone text,  -- an IANA time zone, for the three above
  action text not null check (action in ('nothing', 'notify', 'throttle', 'block')),
  throttle_to text  -- as in budget; NULL: as the budget says
    check (throttle_to is null or iif(json_valid(throttle_to), json_type(throttle_to) = 'object', 0)),
  samples integer check (samples > 0),  -- calls to wait for until it is judged whether it worked; NULL: 20
  at_most text check (at_most in ('notify', 'throttle', 'block')),  -- what did not work escalates no further; NULL: to block
  recorded_by text check (trim(recorded_by) <> ''),  -- NULL: not said
  check ((time_from is null) = (time_to is null)),
  check ((time_from is null and weekdays is null) = (zone is null))
) strict;

create index policy_rule_name on policy_rule (name, valid_from);

create trigger policy_rule_no_update before update on policy_rule begin
  select raise(abort, 'rules are never changed: record a later row');
end;

create trigger policy_rule_no_delete before delete on policy_rule begin
  select raise(abort, 'rules are never removed: record a later row');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger policy_rule_no_replace before insert on policy_rule when exists (select 1 from policy_rule where id = new.id) begin
  select raise(abort, 'rules are never changed: record a later row');
end;
