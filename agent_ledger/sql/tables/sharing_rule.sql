create table sharing_rule (
  -- How what no tool call claimed of the bills is shared over agents, in a column of its own (`shared_by_agent`). The
  -- newest row counts, for every month; without one nothing is shared. Rows are never changed or removed.
  id integer primary key,
  recorded_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    check (recorded_at is strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at, '+0 days')),
  method text not null check (method in ('none', 'even', 'proportional', 'fixed')),
  shares text  -- JSON object, agent_id: weight, for fixed; NULL: not fixed
    check (shares is null or iif(json_valid(shares), json_type(shares) = 'object', 0)),
  check ((method = 'fixed') = (shares is not null))
) strict;

create trigger sharing_rule_no_update before update on sharing_rule begin
  select raise(abort, 'sharing rules are never changed: record a later row');
end;

create trigger sharing_rule_no_delete before delete on sharing_rule begin
  select raise(abort, 'sharing rules are never removed: record a later row');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger sharing_rule_no_replace before insert on sharing_rule when exists (select 1 from sharing_rule where id = new.id) begin
  select raise(abort, 'sharing rules are never changed: record a later row');
end;
