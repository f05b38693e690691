create table enforced_call (
  -- What the runtime did to a call because of a directive: it went to another model than the agent asked for, or it was
  -- refused, and no call was made. So what a throttle saved can be priced, and one that nobody obeys shows.
  id integer primary key,
  ts text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    check (ts is strftime('%Y-%m-%dT%H:%M:%fZ', ts, '+0 days')),
  agent_id text not null check (agent_id <> ''),
  requested_model text,  -- what the agent asked for; NULL: not known, and refused
  request_id text,  -- ledger.request_id of the call that was made; NULL: it was refused
  directive_id integer references directive (id)  -- NULL: a hard cap or an unreadable ledger, and no directive
) strict;

create index enforced_call_directive_id on enforced_call (directive_id, ts);

create trigger enforced_call_no_update before update on enforced_call begin
  select raise(abort, 'enforced calls are never changed: they are a record');
end;

create trigger enforced_call_no_delete before delete on enforced_call begin
  select raise(abort, 'enforced calls are never removed: they are a record');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger enforced_call_no_replace before insert on enforced_call when exists (select 1 from enforced_call where id = new.id) begin
  select raise(abort, 'enforced calls are never changed: they are a record');
end;
