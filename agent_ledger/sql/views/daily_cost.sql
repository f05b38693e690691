/*
What was spent on LLM calls, per UTC day and by every axis at once? The cube that the cost_by_… views add up.

Grain: one row per day, agent_id, team, feature, customer_id, provider and model.
Reads: call_cost.
Sums to: call_cost, exactly.

day                 text     UTC day, YYYY-MM-DD
agent_id            text     Who made the calls
team                text     The agent's team at that time, or (unattributed)
feature             text     Stamped on the call, else the agent's at that time, or (unattributed)
customer_id         text     On whose behalf, or (unattributed)
provider            text     Who runs the model, or (unattributed)
model               text     The model that answered
calls               integer  Inferences
prompt_tokens       integer  All input tokens, cached ones included. NULL: not known for any call
cache_read_tokens   integer  Part of prompt_tokens
cache_write_tokens  integer  Part of prompt_tokens
completion_tokens   integer  All output tokens, reasoning included. NULL: not known for any call
cost_usd            real     US dollars, without the unpriced calls. NULL: all are unpriced
unpriced_calls      integer  Calls whose cost is not known, so not in cost_usd
cost_4096ths        integer  cost_usd exactly, first part: whole 4096ths of a dollar, exact in binary. NULL: all are unpriced
cost_picos          integer  cost_usd exactly, second part: the remaining pico-dollars (1e-12 USD). NULL: all are unpriced
*/
select
  cast(substr(ts, 1, 10) as text) as day,
  agent_id,
  cast(coalesce(team, '(unattributed)') as text) as team,
  cast(coalesce(feature, '(unattributed)') as text) as feature,
  cast(coalesce(customer_id, '(unattributed)') as text) as customer_id,
  cast(coalesce(provider, '(unattributed)') as text) as provider,
  model,
  cast(count(*) as integer) as calls,
  cast(sum(prompt_tokens) as integer) as prompt_tokens,
  cast(sum(coalesce(cache_read_tokens, 0)) as integer) as cache_read_tokens,
  cast(sum(coalesce(cache_write_tokens, 0)) as integer) as cache_write_tokens,
  cast(sum(completion_tokens) as integer) as completion_tokens,
  -- Two integer sums are exact where one would overflow at 9 million dollars and a float would round.
  cast(sum(cost_picos / 244140625) / 4096.0 + sum(cost_picos % 244140625) / 1e12 as real) as cost_usd,
  cast(sum(cost_picos is null) as integer) as unpriced_calls,
  cast(sum(cost_picos / 244140625) as integer) as cost_4096ths,
  cast(sum(cost_picos % 244140625) as integer) as cost_picos
from call_cost
group by 1, 2, 3, 4, 5, 6, 7
