create table allocation (
  -- Which part of a bill's line each tool call takes. Derived: the library makes it anew from charges, tool calls and
  -- rules (see allocation.py), so it may be emptied at any time. It references neither in its schema:
  -- SQLite empties a table that references others row by row.
  charge_id integer not null,  -- charge.id
  audit_id integer not null,  -- audit.id
  method text not null check (method in ('request', 'metered', 'weighted')),
  weight real not null,  -- the call's units or weight, as it was compared with the other calls
  cost_picos integer not null,  -- pico-dollars (1e-12 USD)
  primary key (charge_id, audit_id)
) strict, without rowid;

create index allocation_audit_id on allocation (audit_id, cost_picos);
