create table rest_rollup (
  -- What no tool call takes of the bills, summed by day: view unallocated_charge without the lines in a currency that has
  -- no exchange rate. Derived, like `allocation_rest`.
  day text primary key,  -- UTC, on which the lines' periods begin
  cost_4096ths integer not null,  -- whole 4096ths of a dollar
  cost_picos integer not null  -- and the remaining pico-dollars (1e-12 USD), which may be more than one 4096th
) strict, without rowid;
