/*
What did the tool calls of this {axis} cost?

Reads: tool_usage_cost.
Shows: all_in_by_{axis}.
*/
select
  coalesce(sum(calls), 0) as tool_calls,
  coalesce(sum(failed_calls), 0) as failed_calls,
  coalesce(sum(uncosted_calls), 0) as uncosted_calls,
  sum(cost_4096ths + cost_picos / 244140625) / 4096.0 + sum(cost_picos % 244140625) / 1e12 as tool_usd
from tool_usage_cost
where grain in (:grain, 'call') and bucket >= :since and bucket < :until and {key} = :key
