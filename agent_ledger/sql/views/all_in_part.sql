/*
What was spent on everything, added up as far as it is in the rollups? The all-in views read from here, one grain each.

LLM calls at their price, tool calls at their cost, and what no call claimed of the bills under the key (unallocated).
Ask for one grain of usage_rollup and tool_rollup and the grain call, and you have everything exactly once.

Grain: one row per row of usage_cost, tool_usage_cost and rest_cost.
Reads: usage_cost, tool_usage_cost, rest_cost.
Sums to: call_cost, tool_cost and unallocated_charge together, exactly, for each grain together with call.

grain           text     day, month, agent_customer, customer_day, customer_month or call
bucket          text     The UTC day or month; of a call its ts, of unallocated charges the day or moment at which their period begins
agent_id        text     Or (unattributed), or (unallocated); empty: all agents together
team            text     The agent's team at that time, or (unallocated). NULL: none
feature         text     Or (unallocated). NULL: none
customer_id     text     Or (unallocated). NULL: nobody's, or all customers together
calls           integer  Inferences
tool_calls      integer  Tool calls
llm_4096ths     integer  Cost of LLM calls exactly, first part: whole 4096ths of a dollar
llm_picos       integer  Second part: pico-dollars (1e-12 USD), which may be more than one 4096th. NULL: no price is known, or there are none
tool_4096ths    integer  Cost of tool calls, or unallocated charges, first part
tool_picos      integer  Second part. NULL: no cost is known, or there are none
unpriced_calls  integer  LLM calls whose cost is not known
uncosted_calls  integer  Tool calls whose cost nobody says
*/
select
  grain,
  bucket,
  agent_id,
  team,
  feature,
  customer_id,
  calls,
  cast(0 as integer) as tool_calls,
  cost_4096ths as llm_4096ths,
  cost_picos as llm_picos,
  cast(null as integer) as tool_4096ths,
  cast(null as integer) as tool_picos,
  cast(iif(cost_picos is null, calls, 0) as integer) as unpriced_calls,
  cast(0 as integer) as uncosted_calls
from usage_cost
union all
select
  grain,
  bucket,
  agent_id,
  team,
  feature,
  customer_id,
  0,
  calls,
  null,
  null,
  cost_4096ths,
  cost_picos,
  0,
  uncosted_calls
from tool_usage_cost
union all
select
  'call',
  bucket,
  '(unallocated)',
  '(unallocated)',
  '(unallocated)',
  '(unallocated)',
  0,
  0,
  null,
  null,
  cost_4096ths,
  cost_picos,
  0,
  0
from rest_cost
