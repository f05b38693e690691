/*
What did tool calls cost, per UTC day and by every axis at once? The cube that cost_by_tool and the all_in_… views add up.

Grain: one row per day, agent_id, team, feature, customer_id, server and tool.
Reads: tool_cost.
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
with summed as (
  select
    substr(ts, 1, 10) as day,
    agent_id,
    coalesce(team, '(unattributed)') as team,
    coalesce(feature, '(unattributed)') as feature,
    coalesce(customer_id, '(unattributed)') as customer_id,
    coalesce(server, '(unattributed)') as server,
    tool,
    count(*) as calls,
    sum(coalesce(status = 'error', 0)) as failed_calls,
    sum(cost_picos is null) as uncosted_calls,
    -- Two integer sums, see daily_cost.
    sum(cost_picos / 244140625) as whole,
    sum(cost_picos % 244140625) as rest
  from tool_cost
  group by 1, 2, 3, 4, 5, 6, 7
)
select
  cast(day as text) as day,
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
  cast(whole as integer) as cost_4096ths,
  cast(rest as integer) as cost_picos
from summed
