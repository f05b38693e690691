/*
Tool calls

What the tool reported, else its price, else its part of the bill.

Reads: tool_cost, audit, ledger.
*/
with answered as (
  select request_id, response_id from ledger where request_id = :request_id
),
asked as (
  -- Tool calls may name the request of another account of the same response.
  select :request_id as request_id
  union
  select ledger.request_id
  from answered
  join ledger
    on substr(ledger.response_id, -8) = substr(answered.response_id, -8) and ledger.response_id = answered.response_id
)
select ts, tool, server, resource_id, operation, units, unit, duration_ms, status, id, cost_source, cost_usd
from tool_cost
where id in (select id from audit where request_id in (select request_id from asked)) and request_id = :request_id
order by ts, id
