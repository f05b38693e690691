create table allocation_rule (
  -- Which lines of a bill go to which tool calls, where the resource they name does not say it. Patterns are those of
  -- GLOB (* and ?); NULL matches everything. The rule with the lowest priority that matches a line decides; rows are never
  -- changed or removed: a later row of the same name replaces the earlier one.
  id integer primary key,
  recorded_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    check (recorded_at is strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at, '+0 days')),
  name text not null check (name <> ''),
  priority integer not null default 100,
  -- the lines
  provider text,
  account text,
  service text,
  resource_id text,
  operation text,
  usage_type text,
  category text,
  -- the tool calls
  tool text,
  server text,
  tool_resource_id text,  -- NULL: any resource, if the rule names a tool or server; else the line's own
  tool_operation text,
  -- how
  method text not null check (method in ('metered', 'weighted', 'none')),  -- none: leave these lines unallocated
  weight text not null default 'calls' check (weight in ('calls', 'units', 'duration')),  -- of each call, for weighted
  unit text  -- count units of this kind only; NULL: the line's own, converted
) strict;

create trigger allocation_rule_no_update before update on allocation_rule begin
  select raise(abort, 'allocation rules are never changed: record a later row of that name');
end;

create trigger allocation_rule_no_delete before delete on allocation_rule begin
  select raise(abort, 'allocation rules are never removed: record a later row of that name');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger allocation_rule_no_replace before insert on allocation_rule when exists (select 1 from allocation_rule where id = new.id) begin
  select raise(abort, 'allocation rules are never changed: record a later row of that name');
end;
