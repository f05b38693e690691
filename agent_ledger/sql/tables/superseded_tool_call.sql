create table superseded_tool_call (
  -- Audit rows that do not count, because another row tells of the same tool call. Written by a trigger of `audit`.
  id integer primary key references audit (id),
  by_id integer not null references audit (id),  -- the row that counts instead
  reason text not null  -- revised: a fuller account; conflict: they contradict each other
    check (reason in ('revised', 'conflict'))
) strict;
