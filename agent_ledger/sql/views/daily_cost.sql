/*
What was spent on LLM calls, per UTC day and by every axis at once?

To be summed: in a ledger that is compacted there may be several rows for one combination, of different service tiers, or
price bands, or for the calls that are not compacted yet. In a large one ask for some days, agents or customers.

Grain: one row per day, agent_id, team, feature, customer_id, provider, model, and what else their price depends on.
Reads: rollup_cost, usage_cost, compacted.
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
with later as (
  select
    substr(bucket, 1, 10) as day,
    agent_id,
    coalesce(team, '(unattributed)') as team,
    coalesce(feature, '(unattributed)') as feature,
    coalesce(customer_id, '(unattributed)') as customer_id,
    coalesce(provider, '(unattributed)') as provider,
    model,
    sum(calls) as calls,
    sum(prompt_tokens) as prompt_tokens,
    sum(cache_read_tokens) as cache_read_tokens,
    sum(cache_write_tokens) as cache_write_tokens,
    sum(completion_tokens) as completion_tokens,
    sum(iif(cost_picos is null, calls, 0)) as unpriced_calls,
    -- Two integer sums are exact where one would overflow at 9 million dollars and a float would round.
    sum(cost_4096ths + cost_picos / 244140625) as whole,
    sum(cost_picos % 244140625) as rest
  from usage_cost
  where grain = 'call'
  group by 1, 2, 3, 4, 5, 6, 7
),
summed as (
  -- Not grouped, so that SQLite takes filters to the table, and the first rows come at once.
  select
    bucket as day,
    agent_id,
    coalesce(team, '(unattributed)') as team,
    coalesce(feature, '(unattributed)') as feature,
    customer as customer_id,
    coalesce(provider, '(unattributed)') as provider,
    model,
    calls,
    prompt_tokens,
    cache_read_tokens,
    cache_write_tokens,
    completion_tokens,
    iif(cost_picos is null, calls, 0) as unpriced_calls,
    cost_4096ths as whole,
    cost_picos as rest
  from rollup_cost
  where grain = 'agent_customer' and (select ledger_row from compacted) > 0
  union all
  select * from later
)
select
  day,
  agent_id,
  cast(team as text) as team,
  cast(feature as text) as feature,
  customer_id,
  cast(provider as text) as provider,
  model,
  cast(calls as integer) as calls,
  cast(prompt_tokens as integer) as prompt_tokens,
  cast(cache_read_tokens as integer) as cache_read_tokens,
  cast(cache_write_tokens as integer) as cache_write_tokens,
  cast(completion_tokens as integer) as completion_tokens,
  -- The nearest double: up to 2^53 pico-dollars the division rounds once; above, the whole part is exact in binary.
  cast(iif(
    abs(whole + rest / 244140625) < 36893488,
    (whole * 244140625 + rest) / 1e12,
    (whole + rest / 244140625) / 4096.0 + rest % 244140625 / 1e12
  ) as real) as cost_usd,
  cast(unpriced_calls as integer) as unpriced_calls,
  cast(whole + rest / 244140625 as integer) as cost_4096ths,
  cast(rest % 244140625 as integer) as cost_picos
from summed
