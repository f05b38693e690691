/*
What did calls cost, added up as far as they are in the rollups? The views that add up cost read from here, one grain each.

Ask for one grain of usage_rollup and the grain call, and you have every inference that counts exactly once.
With the first and the last bucket of a period besides, you have those of the period: of an agent this month, say,
grain in ('month', 'call') and agent_id = ? and bucket >= '2026-10' and bucket < '2026-11'.

Grain: one row per row of usage_rollup, and one per call that came later.
Reads: rollup_cost, call_part, compacted, usage_loose.
Sums to: call_cost, exactly, for each grain together with call.

grain                  text     As in usage_rollup, or call
bucket                 text     The UTC hour, day or month: YYYY-MM-DDTHH, YYYY-MM-DD or YYYY-MM; of a call its ts
agent_id               text     Who made the calls; empty: all agents together
team                   text     The agent's team at that time. NULL: none
feature                text     As stamped on the calls, else the agent's feature at that time. NULL: none
customer_id            text     On whose behalf. NULL: nobody's, or all customers together
provider               text     Who runs the model. NULL: not recorded
model                  text     The model that answered
service_tier           text     NULL: standard
region                 text     NULL: not recorded
calls                  integer  Inferences
prompt_tokens          integer  All input tokens, cached ones included. NULL: the provider did not say
completion_tokens      integer  All output tokens, reasoning included. NULL: the provider did not say
cache_read_tokens      integer  Part of prompt_tokens
cache_write_tokens     integer  Part of prompt_tokens
cost_4096ths           integer  Their cost exactly, first part: whole 4096ths of a dollar. Unpriced: 0, or NULL
cost_picos             integer  Second part: the remaining pico-dollars (1e-12 USD), which may be more than one 4096th. NULL: unpriced
cost_source            text     computed, estimated or reported, see call_cost. NULL: unpriced
price_id               integer  price_revision.id of the price in force. NULL: none
searches               integer  1: each of the calls has web searches
first_ts               text     The first of the calls. NULL: look at the calls, and always by customer
last_ts                text     The last
*/
select
  grain,
  bucket,
  agent_id,
  team,
  feature,
  customer_id,
  provider,
  model,
  service_tier,
  region,
  calls,
  prompt_tokens,
  completion_tokens,
  cache_read_tokens,
  cache_write_tokens,
  cost_4096ths,
  cost_picos,
  cost_source,
  price_id,
  searches,
  first_ts,
  last_ts
from rollup_cost
where (select ledger_row from compacted) > 0
union all
select
  grain,
  bucket,
  agent_id,
  team,
  feature,
  customer_id,
  provider,
  model,
  service_tier,
  region,
  calls,
  prompt_tokens,
  completion_tokens,
  cache_read_tokens,
  cache_write_tokens,
  cost_4096ths,
  cost_picos,
  cost_source,
  price_id,
  searches,
  first_ts,
  last_ts
from call_part
where id > (select ledger_row from compacted)
union all
select
  grain,
  bucket,
  agent_id,
  team,
  feature,
  customer_id,
  provider,
  model,
  service_tier,
  region,
  calls,
  prompt_tokens,
  completion_tokens,
  cache_read_tokens,
  cache_write_tokens,
  cost_4096ths,
  cost_picos,
  cost_source,
  price_id,
  searches,
  first_ts,
  last_ts
from call_part
where id in (select id from usage_loose) and id <= (select ledger_row from compacted)
