/*
What does one tool call add to the sums? A tool call in the form in which tool_usage_cost adds up tool calls.

Grain: one row per tool call that counts.
Reads: tool_cost.
Sums to: tool_cost, exactly.

id              integer  audit.id
grain           text     call
bucket          text     When it was made, ISO 8601 UTC
agent_id        text     Who called, or (unattributed)
team            text     The agent's team at that time. NULL: none
feature         text     NULL: none
customer_id     text     On whose behalf. NULL: nobody's, or not known
server          text     Who offers the tool. NULL: not recorded
tool            text     The tool
calls           integer  1
failed_calls    integer  1: it ended in an error
uncosted_calls  integer  1: nobody says what it cost
cost_4096ths    integer  Its cost exactly, first part. 0: all is in the second
cost_picos      integer  Second part: pico-dollars (1e-12 USD). NULL: nobody says
*/
select
  id,
  cast('call' as text) as grain,
  ts as bucket,
  agent_id,
  team,
  feature,
  customer_id,
  server,
  tool,
  cast(1 as integer) as calls,
  cast(coalesce(status = 'error', 0) as integer) as failed_calls,
  cast(cost_picos is null as integer) as uncosted_calls,
  cast(0 as integer) as cost_4096ths,
  cost_picos
from tool_cost
