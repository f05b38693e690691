create table superseded_tool_call (
  -- Audit rows that do not count, because another row tells of the same tool call. Written by a trigger of `audit`.
  id integer primary key references audit (id),
  by_id integer not null references audit (id),  -- the row that counts instead
  reason text not null  -- revised: a fuller account; conflict: they contradict each other
    check (reason in ('revised', 'conflict'))
) strict;

create trigger superseded_tool_call_no_update before update on superseded_tool_call begin
  select raise(abort, 'which account counts is never changed by hand: record a better one');
end;

create trigger superseded_tool_call_no_delete before delete on superseded_tool_call begin
  select raise(abort, 'which account counts is never changed by hand: record a better one');
end;
