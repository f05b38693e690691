/*
How far do the rollups reach? What came later is added up call by call.

Where an assignment was recorded that the rollups are not split by yet, they count for nothing until somebody opens the
ledger or compacts it: slow, and exact. Those of tool calls depend on tool prices and on the allocation of bills too,
and what is left of the bills on bills and exchange rates.

Grain: one row.
Reads: rollup_state, agent_assignment, tool_price, allocation, charge, delivery, exchange_rate.

ledger_row  integer  The last ledger.id in the rollups; 0: none
audit_row   integer  The last audit.id in the rollups; 0: none
charge_row  integer  The last charge.id in rest_rollup, which is the last of all; 0: none is in it
*/
select
  cast(iif(
    agent_assignment_row = (select coalesce(max(id), 0) from agent_assignment),
    ledger_row,
    0
  ) as integer) as ledger_row,
  cast(iif(
    tool_assignment_row = (select coalesce(max(id), 0) from agent_assignment)
    and tool_price_row = (select coalesce(max(id), 0) from tool_price)
    and allocation_row = (select coalesce(max(charge_id), 0) from allocation),
    audit_row,
    0
  ) as integer) as audit_row,
  cast(iif(
    allocation_row = (select coalesce(max(charge_id), 0) from allocation)
    and charge_row = (select coalesce(max(id), 0) from charge)
    and delivery_row = (select coalesce(max(id), 0) from delivery)
    and exchange_rate_row = (select coalesce(max(id), 0) from exchange_rate),
    charge_row,
    0
  ) as integer) as charge_row
from rollup_state
