/*
Which tools cost how much? Reported, priced, or from the cloud bill.

Grain: one row per server and tool.
Reads: tool_usage_cost.
Sums to: tool_cost, exactly.

server          text     Who offers the tool, or (unattributed)
tool            text     The tool
calls           integer  Tool calls
failed_calls    integer  Those that ended in an error
uncosted_calls  integer  Those whose cost nobody says, so not in cost_usd
cost_usd        real     US dollars. NULL: no call has a cost
*/
with summed as (
  select
    coalesce(server, '(unattributed)') as server,
    tool,
    sum(calls) as calls,
    sum(failed_calls) as failed_calls,
    sum(uncosted_calls) as uncosted_calls,
    sum(cost_4096ths + cost_picos / 244140625) as whole,
    sum(cost_picos % 244140625) as rest
  from tool_usage_cost
  where grain in ('month', 'call')
  group by 1, 2
)
select
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
  ) as real) as cost_usd
from summed
