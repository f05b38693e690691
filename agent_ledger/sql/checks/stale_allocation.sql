/* Was anything recorded since the bills were allocated to tool calls? */
select
  'allocation' as subject,
  'bills, tool calls, rules, prices or exchange rates are newer: run agent-ledger allocate LEDGER' as problem
from allocation_state
where exists (select 1 from charge where kind = 'cloud')
  and state is not (select value from ledger_meta where key = 'allocated')
