create table rollup_state (
  -- How far the rollups reach: one row. Views add what came later, so they are exact at any moment. Derived.
  id integer primary key check (id = 1),
  ledger_row integer not null default 0,  -- the last ledger.id in usage_rollup or usage_loose; 0: none
  agent_assignment_row integer not null default 0,  -- the last agent_assignment.id that the rollups are split by
  changes integer not null default 0,  -- counts what those who compact must not miss: other prices, other assignments
  audit_row integer not null default 0,  -- the last audit.id in tool_rollup or tool_loose; 0: none
  audit_reach integer not null default 0,  -- the last audit.id that is being summed, or was: what moves up to here is loose
  tool_assignment_row integer not null default 0,  -- the last agent_assignment.id that tool_rollup is split by
  tool_price_row integer not null default 0,  -- the last tool_price.id that it is split by
  allocation_row integer not null default 0,  -- the last allocation.charge_id in tool_allocated; 0: none
  charge_row integer not null default 0,  -- the last charge.id in rest_rollup; 0: none
  delivery_row integer not null default 0,  -- the last delivery.id that rest_rollup depends on
  exchange_rate_row integer not null default 0  -- the last exchange_rate.id that it depends on
) strict;

insert into rollup_state (id) values (1);
