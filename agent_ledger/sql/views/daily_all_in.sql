/*
What was spent on everything, per UTC day and by every axis at once? The cube that the all_in_by_… views add up.

LLM calls at their price, tool calls at their cost, and what no call claimed of the bills under the key (unallocated).
Charges in a currency without exchange rate are in no sum; coverage counts them.

Grain: one row per day, agent_id, team, feature and customer_id.
Reads: daily_cost, daily_tool_cost, unallocated_charge.
Sums to: daily_cost, daily_tool_cost and unallocated_charge together, exactly.

day             text     UTC day, YYYY-MM-DD; of unallocated charges the day on which their period begins
agent_id        text     Or (unattributed), or (unallocated)
team            text     Or (unattributed), or (unallocated)
feature         text     Or (unattributed), or (unallocated)
customer_id     text     Or (unattributed), or (unallocated)
calls           integer  Inferences
tool_calls      integer  Tool calls
llm_4096ths     integer  Cost of LLM calls exactly, first part: whole 4096ths of a dollar. NULL: none is priced
llm_picos       integer  Second part: the remaining pico-dollars (1e-12 USD). NULL: none is priced
tool_4096ths    integer  Cost of tool calls, or unallocated charges, first part. NULL: no cost is known
tool_picos      integer  Second part. NULL: no cost is known
unpriced_calls  integer  LLM calls whose cost is not known
uncosted_calls  integer  Tool calls whose cost nobody says
*/
with parts as (
  select day, agent_id, team, feature, customer_id, calls, 0 as tool_calls, cost_4096ths as llm_4096ths, cost_picos as llm_picos,
    null as tool_4096ths, null as tool_picos, unpriced_calls, 0 as uncosted_calls
  from daily_cost
  union all
  select day, agent_id, team, feature, customer_id, 0, calls, null, null, cost_4096ths, cost_picos, 0, uncosted_calls
  from daily_tool_cost
  union all
  select substr(period_start, 1, 10), '(unallocated)', '(unallocated)', '(unallocated)', '(unallocated)', 0, 0, null, null,
    cost_picos / 244140625, cost_picos % 244140625, 0, 0
  from unallocated_charge
  where cost_picos is not null
)
select
  cast(day as text) as day,
  cast(agent_id as text) as agent_id,
  cast(team as text) as team,
  cast(feature as text) as feature,
  cast(customer_id as text) as customer_id,
  cast(sum(calls) as integer) as calls,
  cast(sum(tool_calls) as integer) as tool_calls,
  cast(sum(llm_4096ths) as integer) as llm_4096ths,
  cast(sum(llm_picos) as integer) as llm_picos,
  cast(sum(tool_4096ths) as integer) as tool_4096ths,
  cast(sum(tool_picos) as integer) as tool_picos,
  cast(sum(unpriced_calls) as integer) as unpriced_calls,
  cast(sum(uncosted_calls) as integer) as uncosted_calls
from parts
group by 1, 2, 3, 4, 5
