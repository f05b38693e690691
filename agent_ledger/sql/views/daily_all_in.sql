/*
What was spent on everything, per UTC day and by every axis at once?

To be summed: in a ledger that is compacted there may be several rows for one combination, see daily_cost. In a large one
ask for some days, agents or customers.

LLM calls at their price, tool calls at their cost, and what no call claimed of the bills under the key (unallocated).
Charges in a currency without exchange rate are in no sum; coverage counts them.

Grain: one row per day, agent_id, team, feature and customer_id, and what else their cost depends on.
Reads: all_in_part.
Sums to: all_in_part, exactly.

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
with later as (
  select
    substr(bucket, 1, 10) as day,
    agent_id,
    coalesce(team, '(unattributed)') as team,
    coalesce(feature, '(unattributed)') as feature,
    coalesce(customer_id, '(unattributed)') as customer_id,
    sum(calls) as calls,
    sum(tool_calls) as tool_calls,
    sum(llm_4096ths + llm_picos / 244140625) as llm_whole,
    sum(llm_picos % 244140625) as llm_rest,
    sum(tool_4096ths + tool_picos / 244140625) as tool_whole,
    sum(tool_picos % 244140625) as tool_rest,
    sum(unpriced_calls) as unpriced_calls,
    sum(uncosted_calls) as uncosted_calls
  from all_in_part
  where grain = 'call'
  group by 1, 2, 3, 4, 5
),
summed as (
  -- Not grouped, see daily_cost.
  select
    bucket as day,
    agent_id,
    coalesce(team, '(unattributed)') as team,
    coalesce(feature, '(unattributed)') as feature,
    coalesce(customer_id, '(unattributed)') as customer_id,
    calls,
    tool_calls,
    llm_4096ths + llm_picos / 244140625 as llm_whole,
    llm_picos % 244140625 as llm_rest,
    tool_4096ths + tool_picos / 244140625 as tool_whole,
    tool_picos % 244140625 as tool_rest,
    unpriced_calls,
    uncosted_calls
  from all_in_part
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
  cast(calls as integer) as calls,
  cast(tool_calls as integer) as tool_calls,
  cast(llm_whole + llm_rest / 244140625 as integer) as llm_4096ths,
  cast(llm_rest % 244140625 as integer) as llm_picos,
  cast(tool_whole + tool_rest / 244140625 as integer) as tool_4096ths,
  cast(tool_rest % 244140625 as integer) as tool_picos,
  cast(unpriced_calls as integer) as unpriced_calls,
  cast(uncosted_calls as integer) as uncosted_calls
from summed
