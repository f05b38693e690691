create table tool_rollup (
  -- The tool calls up to rollup_state.audit_row, summed. Derived from audit by compacting (see tool_rollup.py), so it may
  -- be emptied at any time together with the other tool_… tables and rollup_state. Each grain holds every call once:
  --   hour, day, month                by agent, without customers
  --   customer_day, customer_month    by customer, all agents together
  --   agent_customer                  per day, by agent and customer
  grain text not null,
  key_id integer not null references tool_key (id),
  bucket text not null,  -- the UTC day or month: YYYY-MM-DD or YYYY-MM
  cut text not null,  -- where a price or an assignment changes within the bucket: the calls from this moment on; '': from its start
  customer_id text not null,  -- '': nobody's, or all customers together
  calls integer not null,
  failed_calls integer not null,
  units integer not null,  -- where tool_key says that they are small whole numbers
  cost_4096ths integer not null,  -- what the tool says they cost, or what its price made of other units: whole 4096ths of a dollar
  cost_picos integer not null,  -- and the remaining pico-dollars (1e-12 USD)
  primary key (grain, key_id, bucket, cut, customer_id)
) strict, without rowid;
