create table allocation_rest (
  -- What no tool call takes of a bill's line, and why. Derived, like `allocation`.
  charge_id integer primary key,  -- charge.id
  cost_picos integer not null,  -- pico-dollars (1e-12 USD)
  reason text not null check (reason in (
    'no resource', 'no tool call', 'no tool call then', 'not all metered', 'tax or fee', 'credit', 'by rule'
  ))
) strict;
