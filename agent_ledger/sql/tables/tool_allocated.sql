create table tool_allocated (
  -- What the tool calls in tool_rollup take of the bills, summed. Derived, like tool_rollup and from `allocation`.
  grain text not null,
  key_id integer not null references tool_key (id),
  bucket text not null,
  cut text not null,
  customer_id text not null,
  calls integer not null,  -- those that take a part
  cost_4096ths integer not null,
  cost_picos integer not null,
  primary key (grain, key_id, bucket, cut, customer_id)
) strict, without rowid;
