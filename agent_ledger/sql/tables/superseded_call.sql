create table superseded_call (
  -- Ledger rows that do not count, because another row tells of the same inference. Written by triggers of `ledger`.
  id integer primary key references ledger (id),
  by_id integer not null references ledger (id),  -- the row that counts instead
  reason text not null  -- duplicate: says the same; revised: a fuller account; conflict: they contradict each other
    check (reason in ('duplicate', 'revised', 'conflict'))
) strict;

create trigger superseded_call_no_update before update on superseded_call begin
  select raise(abort, 'which account counts is never changed by hand: record a better one');
end;

create trigger superseded_call_no_delete before delete on superseded_call begin
  select raise(abort, 'which account counts is never changed by hand: record a better one');
end;
