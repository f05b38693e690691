create table charge (
  -- One line of a cloud or provider bill, as billed. Rows are never changed or removed.
  id integer primary key,
  charge_id text not null check (charge_id <> ''),  -- the bill's id of the line
  period_start text not null check (period_start is strftime('%Y-%m-%dT%H:%M:%fZ', period_start, '+0 days')),
  period_end text not null  -- not included
    check (period_end is strftime('%Y-%m-%dT%H:%M:%fZ', period_end, '+0 days')),
  provider text not null check (provider <> ''),
  account text,
  service text,
  resource_id text,  -- NULL: the line names no resource
  operation text,
  quantity text,  -- an exact decimal, in `unit`
  unit text,
  cost text not null,  -- an exact decimal, in `currency`; negative for credits
  currency text not null default 'USD' check (length(currency) = 3),
  request_id text,  -- NULL, nearly always: bills name no request
  invoice_id text,
  tags text check (tags is null or json_type(tags) = 'object'),
  category text not null default 'usage',  -- usage, tax, credit, refund, fee, …
  check (period_start < period_end)
) strict;

create trigger charge_no_update before update on charge begin
  select raise(abort, 'charge rows are never changed: import the corrected bill');
end;

create trigger charge_no_delete before delete on charge begin
  select raise(abort, 'charge rows are never removed: import the corrected bill');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger charge_no_replace before insert on charge when exists (select 1 from charge where id = new.id) begin
  select raise(abort, 'charge rows are never changed: import the corrected bill');
end;
