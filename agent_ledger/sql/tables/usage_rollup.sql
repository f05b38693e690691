create table usage_rollup (
  -- The calls up to rollup_state.ledger_row, summed: counts only, never money. Derived from ledger by compacting (see
  -- rollup.py), so it may be emptied at any time together with rollup_state. Each grain holds every call once:
  --   hour, day, month                by agent, without customers
  --   customer_day, customer_month    by customer, all agents together
  --   agent_customer                  per day, by agent and customer
  grain text not null,
  key_id integer not null references usage_key (id),
  bucket text not null,  -- the UTC hour, day or month: YYYY-MM-DDTHH, YYYY-MM-DD or YYYY-MM
  cut text not null,  -- where a price or an assignment changes within the bucket: the calls from this moment on; '': from its start
  customer_id text not null,  -- (unattributed): nobody's; '': all customers together
  calls integer not null,
  prompt_tokens integer not null,
  completion_tokens integer not null,
  cache_read_tokens integer not null,
  cache_write_tokens integer not null,
  cache_write_1h_tokens integer not null,
  reasoning_tokens integer not null,
  web_search_requests integer not null,
  reported_4096ths integer not null,  -- what the provider says they cost: whole 4096ths of a dollar
  reported_picos integer not null,  -- and the remaining pico-dollars (1e-12 USD)
  first_ts text,  -- the first of the calls; NULL: look at the calls, and always by customer
  last_ts text,
  primary key (grain, key_id, bucket, cut, customer_id)
) strict, without rowid;

-- What lost its first or last call, so that compacting finds it without looking at all rows.
create index usage_rollup_forgotten on usage_rollup (grain)
where customer_id = '' and (first_ts is null or last_ts is null);
