create table tool_chunk (
  -- The times that stretches of audit cover, so that the tool calls of a day are found without an index. Derived.
  first_id integer primary key,  -- of audit
  last_id integer not null,
  first_ts text not null,
  last_ts text not null
) strict;
