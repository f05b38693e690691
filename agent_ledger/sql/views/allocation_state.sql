/*
What is the allocation of bills to tool calls made of? Where it differs from ledger_meta 'allocated', something came later.

Grain: one row.
Reads: charge, delivery, audit, exchange_rate, allocation_rule, tool_price, unit.

state    text     The newest row of everything that takes part, as one text
*/
with billed as (select max(period_end) as until from charge)
select cast(json_array(
  (select max(id) from charge),
  (select max(id) from delivery),
  -- From the end, where they are.
  iif((select until from billed) is null, null, (
    select id from audit where ts < (select until from billed) order by id desc limit 1
  )),
  (select max(id) from exchange_rate),
  (select max(id) from allocation_rule),
  (select max(id) from tool_price),
  (select count(*) from unit),
  (select total(factor) from unit)
) as text) as state
