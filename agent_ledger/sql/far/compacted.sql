/*
How far do the rollups reach? Nowhere: where the rows of many ledgers stand together there are none.

Grain: one row.

ledger_row  integer  0
audit_row   integer  0
charge_row  integer  0
*/
select
  cast(0 as integer) as ledger_row,
  cast(0 as integer) as audit_row,
  cast(0 as integer) as charge_row
