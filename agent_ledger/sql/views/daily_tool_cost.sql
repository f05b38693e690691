/*
What did tool calls cost, per UTC day and by every axis at once?

To be summed: in a ledger that is compacted there may be several rows for one combination, see daily_cost. In a large one
ask for some days, agents or customers.

Grain: one row per day, agent_id, team, feature, customer_id, server and tool, and what else their cost depends on.
Reads: tool_usage_cost.
Sums to: tool_cost, exactly.

day             text     UTC day, YYYY-MM-DD
agent_id        text     Who called, or (unattributed)
team            text     The agent's team at that time, or (unattributed)
feature         text     Or (unattributed)
customer_id     text     On whose behalf, or (unattributed)
server          text     Who offers the tool, or (unattributed)
tool            text     The tool
calls           integer  Tool calls
failed_calls    integer  Those that ended in an error
uncosted_calls  integer  Those whose cost nobody says, so not in cost_usd
cost_usd        real     US dollars. NULL: no call has a cost
cost_4096ths    integer  cost_usd exactly, first part: whole 4096ths of a dollar. NULL: no call has a cost
cost_picos      integer  cost_usd exactly, second part: the remaining pico-dollars (1e-12 USD). NULL: no call has a cost
*/
with later as (
  select
    substr(bucket, 1, 10) as day,
    agent_id,
    coalesce(team, '(unattributed)') as team,
    coalesce(feature, '(unattributed)') as feature,
    coalesce(customer_id, '(unattributed)') as customer_id,
    coalesce(server, '(unattributed)') as server,
    tool,
    sum(calls) as calls,
    sum(failed_calls) as failed_calls,
    sum(uncosted_calls) as uncosted_calls,
    -- Two integer sums, see daily_cost.
    sum(cost_4096ths + cost_picos / 244140625) as whole,
    sum(cost_picos % 244140625) as rest
  from tool_usage_cost
  where grain = 'call'
  group by 1, 2, 3, 4, 5, 6, 7
),
summed as (
  -- Not grouped, see daily_cost.
  select
    bucket as day,
    agent_id,
    coalesce(team, '(unattributed)') as team,
    coalesce(feature, '(unattributed)') as feature,
    coalesce(customer_id, '(unattributed)') as customer_id,
    coalesce(server, '(unattributed)') as server,
    tool,
    calls,
    failed_calls,
    uncosted_calls,
    cost_4096ths + cost_picos / 244140625 as whole,
    cost_picos % 244140625 as rest
  from tool_usage_cost
  where grain = 'agent_customer'
  union all
  select * from later
)
select
  day,
  agent_id,
  cast(team as text) as team,
  cast(feature as text) as feature,
  cast(customer_id as text) as customer_id,
  cast(server as text) as server,
  tool,
  cast(calls as integer) as calls,
  cast(failed_calls as integer) as failed_calls,
  cast(uncosted_calls as integer) as uncosted_calls,
  -- The nearest double, see daily_cost.
  cast(iif(
    abs(whole + rest / 244140625) < 36893488,
    (whole * 244140625 + rest) / 1e12,
    (whole + rest / 244140625) / 4096.0 + rest % 244140625 / 1e12
  ) as real) as cost_usd,
  cast(whole + rest / 244140625 as integer) as cost_4096ths,
  cast(rest % 244140625 as integer) as cost_picos
from summed
