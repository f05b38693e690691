create table superseded_tool_call (
  -- Audit rows that do not count, because another row tells of the same tool call. Written by a trigger of `audit`.
  id integer primary key references audit (id),
  by_id integer not null references audit (id),  -- the row that counts instead
  reason text not null  -- revised: a fuller account; conflict: they contradict each other
    check (reason in ('revised', 'conflict'))
) strict;

create index superseded_tool_call_by_id on superseded_tool_call (by_id);  -- else each row that leaves audit would cost a look at all of these

create trigger superseded_tool_call_no_update before update on superseded_tool_call begin
  select raise(abort, 'which account counts is never changed by hand: record a better one');
end;

create trigger superseded_tool_call_no_delete before delete on superseded_tool_call
when not exists (select 1 from archive where source = 'audit' and moving = 1 and old.id between first_id and last_id) begin
  select raise(abort, 'which account counts is never changed by hand: record a better one');
end;

-- What counted when it was summed, and no longer does, leaves the sums at once.
create trigger superseded_tool_call_leaves_rollups before insert on superseded_tool_call
when new.id <= (select audit_reach from rollup_state) and new.id not in (select id from tool_loose)
begin
  insert into tool_loose (id) values (new.id);
end;
