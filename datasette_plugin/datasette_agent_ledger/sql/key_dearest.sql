/*
Which are its most expensive calls?

Of the period, among the newest 100,000 calls of it that are recorded: further back takes longer than a page may.

Reads: call_cost, rollup_chunk, compacted.
Shows: cost_by_{axis}.
*/
with reach as (
  select
    (select ledger_row from compacted) as summed,
    coalesce((select max(last_id) from rollup_chunk where first_ts < :until), 0) as last_id
)
select ts, request_id, agent_id, customer_id, model, prompt_tokens, completion_tokens, cost_usd
from (
  select * from call_cost
  where id > (select summed from reach) and ts >= :since and ts < :until and {key} = :key
  union all
  select * from call_cost
  where id > (select last_id - 100000 from reach) and id <= (select min(last_id, summed) from reach)
    and ts >= :since and ts < :until and {key} = :key
)
order by cost_usd desc, id desc
limit 10
