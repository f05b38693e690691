create table tool_price (
  -- What one unit of a tool costs, for tools whose price is known per call. Rows are never changed or removed: a later
  -- row for the same tool and moment replaces the earlier one.
  id integer primary key,
  recorded_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    check (recorded_at is strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at, '+0 days')),
  server text,  -- NULL: any
  tool text not null check (tool <> ''),
  effective_from text not null check (effective_from is strftime('%Y-%m-%dT%H:%M:%fZ', effective_from, '+0 days')),
  effective_to text check (effective_to is strftime('%Y-%m-%dT%H:%M:%fZ', effective_to, '+0 days')),  -- NULL: open
  unit text,  -- of audit.units; NULL: per call
  price integer not null check (price >= 0),  -- pico-dollars (1e-12 USD) per unit
  check (effective_to is null or effective_from < effective_to)
) strict;

create index tool_price_tool on tool_price (tool, effective_from);

create trigger tool_price_no_update before update on tool_price begin
  select raise(abort, 'tool prices are never changed: record a later row');
end;

create trigger tool_price_no_delete before delete on tool_price begin
  select raise(abort, 'tool prices are never removed: record a later row');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger tool_price_no_replace before insert on tool_price when exists (select 1 from tool_price where id = new.id) begin
  select raise(abort, 'tool prices are never changed: record a later row');
end;

-- Sums may have to be divided anew then, with the help of what is archived, which only the library can read.
create trigger tool_price_of_archived before insert on tool_price
when exists (select 1 from archive where source = 'audit')
  and not exists (select 1 from ledger_meta where key = 'archive_was_read')
begin
  select raise(abort, 'tool calls are archived: set prices with agent-ledger tool-price, which brings their sums in step');
end;
