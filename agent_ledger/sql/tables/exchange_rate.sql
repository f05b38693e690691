create table exchange_rate (
  -- What one unit of a currency is worth in US dollars, from a day on, as the user says. Rows are never changed or removed:
  -- a later row for the same currency and day replaces the earlier one.
  id integer primary key,
  recorded_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    check (recorded_at is strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at, '+0 days')),
  currency text not null check (currency glob '[A-Z][A-Z][A-Z]' and currency <> 'USD'),
  effective_from text not null
    check (effective_from is strftime('%Y-%m-%dT%H:%M:%fZ', effective_from, '+0 days')),
  usd real not null check (usd > 0)
) strict;

create trigger exchange_rate_no_update before update on exchange_rate begin
  select raise(abort, 'exchange rates are never changed: record a later row');
end;

create trigger exchange_rate_no_delete before delete on exchange_rate begin
  select raise(abort, 'exchange rates are never removed: record a later row');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger exchange_rate_no_replace before insert on exchange_rate when exists (select 1 from exchange_rate where id = new.id) begin
  select raise(abort, 'exchange rates are never changed: record a later row');
end;
