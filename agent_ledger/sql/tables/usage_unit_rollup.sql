create table usage_unit_rollup (
  -- The other billed units of the calls in usage_rollup, summed. Derived, like usage_rollup.
  grain text not null,
  key_id integer not null references usage_key (id),
  bucket text not null,
  cut text not null,
  customer_id text not null,
  unit text not null,  -- as in ledger.usage
  quantity integer not null,
  primary key (grain, key_id, bucket, cut, customer_id, unit)
) strict, without rowid;
