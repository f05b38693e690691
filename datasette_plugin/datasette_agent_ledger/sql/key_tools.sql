/*
Which tools did it use, and what did they cost?

Reported by the tool, priced, or taken of the bills.

Reads: tool_usage_cost.
Shows: cost_by_tool, all_in_by_{axis}.
*/
select
  tool,
  coalesce(server, '(unattributed)') as server,
  sum(cost_4096ths + cost_picos / 244140625) / 4096.0 + sum(cost_picos % 244140625) / 1e12 as cost_usd,
  sum(calls) as calls,
  sum(failed_calls) as failed_calls,
  sum(uncosted_calls) as uncosted_calls
from tool_usage_cost
where grain in (:grain, 'call') and bucket >= :since and bucket < :until and {key} = :key
group by 1, 2
order by coalesce(sum(cost_4096ths + cost_picos / 244140625), 0) desc, calls desc, tool, server
