create table agent_assignment (
  -- Which team, feature and owner an agent belongs to, from a moment on. Rows are never changed or removed: a later row
  -- for the same agent and moment replaces the earlier one in the views.
  id integer primary key,
  agent_id text not null check (agent_id <> ''),
  valid_from text not null  -- holds from this moment until the agent's next row
    check (valid_from is strftime('%Y-%m-%dT%H:%M:%fZ', valid_from, '+0 days')),
  team text check (team <> ''),  -- NULL: none
  feature text check (feature <> ''),  -- NULL: none
  owner text check (owner <> ''),  -- NULL: nobody
  recorded_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    check (recorded_at is strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at, '+0 days'))
) strict;

create index agent_assignment_agent_id on agent_assignment (agent_id, valid_from);

create trigger agent_assignment_no_update before update on agent_assignment begin
  select raise(abort, 'assignments are never changed: record a later row');
end;

create trigger agent_assignment_no_delete before delete on agent_assignment begin
  select raise(abort, 'assignments are never removed: record a later row');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger agent_assignment_no_replace before insert on agent_assignment when exists (select 1 from agent_assignment where id = new.id) begin
  select raise(abort, 'assignments are never changed: record a later row');
end;

-- Sums may have to be divided anew then, with the help of what is archived, which only the library can read.
create trigger agent_assignment_of_archived before insert on agent_assignment
when exists (select 1 from archive)
  and not exists (select 1 from ledger_meta where key = 'archive_was_read')
begin
  select raise(abort, 'calls are archived: assign with agent-ledger assign, which brings their sums in step');
end;
