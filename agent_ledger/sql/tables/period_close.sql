create table period_close (
  -- A month that was closed, or opened again: what was reported for it stays as it is in `closed_figure`, whatever is
  -- recorded later. Rows are never changed or removed. The columns …_row say how far each table reached at the close, so
  -- that `restatement` can tell what came later.
  id integer primary key,
  month text not null  -- YYYY-MM, UTC
    check (month glob '[0-9][0-9][0-9][0-9]-[01][0-9]' and date(month || '-01') is not null),
  event text not null check (event in ('close', 'reopen')),
  recorded_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    check (recorded_at is strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at, '+0 days')),
  recorded_by text check (trim(recorded_by) <> ''),  -- NULL: not said
  reason text check (trim(reason) <> ''),  -- NULL: not said; a month is not opened again without one
  digest text check (length(digest) = 64),  -- SHA-256 (hex) of the month's closed figures, see closing.py
  ledger_row integer,  -- the last ledger.id at the close; 0: there was none
  audit_row integer,
  delivery_row integer,
  charge_row integer,
  price_revision_row integer,
  tool_price_row integer,
  exchange_rate_row integer,
  agent_assignment_row integer,
  allocation_rule_row integer,
  check (event = 'close' or reason is not null),
  check ((event = 'close') = (digest is not null)),
  check ((event = 'close') = (
    ledger_row + audit_row + delivery_row + charge_row + price_revision_row + tool_price_row + exchange_rate_row
    + agent_assignment_row + allocation_rule_row is not null
  ))
) strict;

create trigger period_close_no_update before update on period_close begin
  select raise(abort, 'closes are never changed: open the month again');
end;

create trigger period_close_no_delete before delete on period_close begin
  select raise(abort, 'closes are never removed: open the month again');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger period_close_no_replace before insert on period_close when exists (select 1 from period_close where id = new.id) begin
  select raise(abort, 'closes are never changed: open the month again');
end;

create trigger period_close_in_turn before insert on period_close
when new.event = coalesce((select event from period_close where month = new.month order by id desc limit 1), 'reopen') begin
  select raise(abort, 'a month is closed and opened again in turn');
end;
