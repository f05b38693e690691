create table budget_exception (
  -- Somebody who may do so lets a budget be overrun for a time. Rows are never changed or removed: a later row that names
  -- this one in `revokes` ends it early.
  id integer primary key,
  recorded_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    check (recorded_at is strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at, '+0 days')),
  budget text not null check (trim(budget) <> ''),  -- budget.name
  valid_from text not null check (valid_from is strftime('%Y-%m-%dT%H:%M:%fZ', valid_from, '+0 days')),
  valid_until text not null check (valid_until is strftime('%Y-%m-%dT%H:%M:%fZ', valid_until, '+0 days')),  -- up to, not including, this moment
  granted_by text not null check (trim(granted_by) <> ''),
  reason text check (trim(reason) <> ''),  -- NULL: not said
  revokes integer unique references budget_exception (id),  -- the exception that ends at valid_from; NULL: this is one itself
  check (valid_from < valid_until)
) strict;

create index budget_exception_budget on budget_exception (budget, valid_until);

create trigger budget_exception_no_update before update on budget_exception begin
  select raise(abort, 'exceptions are never changed: revoke it by a later row');
end;

create trigger budget_exception_no_delete before delete on budget_exception begin
  select raise(abort, 'exceptions are never removed: revoke it by a later row');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger budget_exception_no_replace before insert on budget_exception when exists (select 1 from budget_exception where id = new.id) begin
  select raise(abort, 'exceptions are never changed: revoke it by a later row');
end;
