/*
What does one call add to the sums? A call in the form in which usage_cost adds up calls.

Grain: one row per inference that counts.
Reads: call_cost.
Sums to: call_cost, exactly.

id                     integer  ledger.id
grain                  text     call
bucket                 text     When it was made, ISO 8601 UTC
agent_id               text     Who made it
team                   text     The agent's team at that time. NULL: none
feature                text     As stamped on the calls, else the agent's feature at that time. NULL: none
customer_id            text     On whose behalf. NULL: nobody's
provider               text     Who runs the model. NULL: not recorded
model                  text     The model that answered
service_tier           text     NULL: standard
region                 text     NULL: not recorded
calls                  integer  1
prompt_tokens          integer  All input tokens, cached ones included. NULL: the provider did not say
completion_tokens      integer  All output tokens, reasoning included. NULL: the provider did not say
cache_read_tokens      integer  Part of prompt_tokens
cache_write_tokens     integer  Part of prompt_tokens
cost_4096ths           integer  Its cost exactly, first part: whole 4096ths of a dollar. 0: all is in the second
cost_picos             integer  Second part: the remaining pico-dollars (1e-12 USD), all of it. NULL: unpriced
cost_source            text     computed, estimated or reported, see call_cost. NULL: unpriced
price_id               integer  price_revision.id of the price in force. NULL: none
searches               integer  1: it has web searches
first_ts               text     When it was made
last_ts                text     The same
*/
select
  id,
  cast('call' as text) as grain,
  ts as bucket,
  agent_id,
  team,
  feature,
  customer_id,
  provider,
  model,
  service_tier,
  region,
  cast(1 as integer) as calls,
  prompt_tokens,
  completion_tokens,
  cast(coalesce(cache_read_tokens, 0) as integer) as cache_read_tokens,
  cast(coalesce(cache_write_tokens, 0) as integer) as cache_write_tokens,
  cast(0 as integer) as cost_4096ths,
  cost_picos,
  cost_source,
  price_id,
  cast(coalesce(web_search_requests > 0, 0) as integer) as searches,
  ts as first_ts,
  ts as last_ts
from call_cost
