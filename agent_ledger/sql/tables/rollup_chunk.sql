create table rollup_chunk (
  -- The times that stretches of the ledger cover, so that the calls of a day are found without an index. Derived.
  first_id integer primary key,  -- of ledger
  last_id integer not null,
  first_ts text not null,
  last_ts text not null
) strict;
