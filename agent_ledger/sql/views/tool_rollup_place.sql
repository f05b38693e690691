/*
Which rows of tool_rollup hold a tool call? One of each grain, for a call that the rollups hold.

Grain: one row per audit row and grain.
Reads: tool_place.

id           integer  audit.id
grain        text     As in tool_rollup
key_id       integer  NULL: no rollup holds the call
bucket       text     As in tool_rollup
cut          text     As in tool_rollup
customer_id  text     As in tool_rollup
*/
with grain as (
  select column1 as name, column2 as digits, column3 as by_agent, column4 as by_customer
  from (values
    ('hour', 13, 1, 0),
    ('day', 10, 1, 0),
    ('month', 7, 1, 0),
    ('agent_customer', 10, 1, 1),
    ('customer_day', 10, 0, 1),
    ('customer_month', 7, 0, 1)
  )
),
placed as (
  select
    tool_place.id,
    grain.name as grain,
    iif(grain.by_agent, tool_place.key_id, tool_place.all_agents_id) as key_id,
    substr(tool_place.ts, 1, grain.digits) as bucket,
    iif(grain.by_agent, max(tool_place.price_cut, tool_place.agent_cut), tool_place.price_cut) as since,
    iif(grain.by_customer, tool_place.customer_id, '') as customer_id
  from tool_place
  cross join grain
)
select
  id,
  cast(grain as text) as grain,
  cast(key_id as integer) as key_id,
  cast(bucket as text) as bucket,
  cast(iif(since > bucket || substr('0000-01-01T00:00:00.000Z', length(bucket) + 1), since, '') as text) as cut,
  cast(customer_id as text) as customer_id
from placed
