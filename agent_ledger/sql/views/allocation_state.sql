/*
What is the allocation of bills to tool calls made of? Where it differs from ledger_meta 'allocated', something came later.

Grain: one row.
Reads: charge, delivery, audit, compacted, tool_chunk, exchange_rate, allocation_rule, tool_price, unit.

state    text     The newest row of everything that takes part, as one text
*/
with billed as (select max(period_end) as until from charge)
select cast(json_array(
  (select max(id) from charge),
  (select max(id) from delivery),
  -- Only where it can be: after the rollups, or in the last stretch of them that began before the end of the bills.
  coalesce(
    (select max(id) from audit where id > (select audit_row from compacted) and ts < (select until from billed)),
    (
      select max(audit.id)
      from (
        select first_id, last_id from tool_chunk where first_ts < (select until from billed) order by first_id desc limit 1
      ) as chunk
      join audit on audit.id between chunk.first_id and chunk.last_id
      where audit.ts < (select until from billed)
    )
  ),
  (select max(id) from exchange_rate),
  (select max(id) from allocation_rule),
  (select max(id) from tool_price),
  (select count(*) from unit),
  (select total(factor) from unit)
) as text) as state
