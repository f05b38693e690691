/*
What did calls cost, by kind of tokens? Priced calls only; as far as they are in the rollups, those of a day are one row.

Grain: one row per row of usage_rollup by agent and customer, and one per call that came later, for each kind of tokens.
Reads: rollup_cost, call_cost, compacted, usage_loose.
Sums to: usage_cost, exactly.

day            text     UTC day, YYYY-MM-DD
agent_id       text     Who made the calls
team           text     The agent's team at that time. NULL: none
feature        text     As stamped on the calls, else the agent's feature at that time. NULL: none
customer_id    text     On whose behalf. NULL: nobody's
provider       text     Who runs the model. NULL: not recorded
model          text     The model that answered
service_tier   text     NULL: standard
region         text     NULL: not recorded
cost_source    text     computed, estimated or reported, see call_cost
price_source   text     Who says what they cost
token_type     text     input, cache_read, cache_write, cache_write_1h, output, reasoning, web_search, request, units; whole: reported as one sum
quantity       integer  Tokens, or requests; of whole, calls. NULL: units, which are of different kinds
unit_picos     integer  Pico-dollars (1e-12 USD) per token or request. NULL: units, or reported
cost_picos     integer  Pico-dollars: quantity times unit_picos, where there is a unit price
*/
with kind as (
  select column1 as token_type, column1 = 'whole' as is_reported
  from (values
    ('input'), ('cache_read'), ('cache_write'), ('cache_write_1h'), ('output'), ('reasoning'), ('web_search'), ('request'), ('units'),
    ('whole')
  )
),
call as (
  select * from call_cost where id > (select ledger_row from compacted) and cost_picos is not null
  union all
  select * from call_cost
  where id in (select id from usage_loose) and id <= (select ledger_row from compacted) and cost_picos is not null
),
of_rollups as (
  select
    substr(bucket, 1, 10) as day,
    agent_id,
    team,
    feature,
    customer_id,
    provider,
    model,
    service_tier,
    region,
    cost_source,
    price_source,
    token_type,
    case token_type
      when 'input' then prompt_tokens - cache_read_tokens - cache_write_tokens
      when 'cache_read' then cache_read_tokens
      when 'cache_write' then cache_write_tokens - cache_write_1h_tokens
      when 'cache_write_1h' then cache_write_1h_tokens
      when 'output' then completion_tokens - reasoning_tokens
      when 'reasoning' then reasoning_tokens
      when 'web_search' then web_search_requests
      when 'request' then iif(request_unit_picos <> 0, calls, 0)
      when 'whole' then calls
    end as quantity,
    case token_type
      when 'input' then input_unit_picos
      when 'cache_read' then cache_read_unit_picos
      when 'cache_write' then cache_write_unit_picos
      when 'cache_write_1h' then cache_write_1h_unit_picos
      when 'output' then output_unit_picos
      when 'reasoning' then reasoning_unit_picos
      when 'web_search' then web_search_unit_picos
      when 'request' then request_unit_picos
    end as unit_picos,
    case token_type when 'units' then units_picos when 'whole' then cost_4096ths * 244140625 + cost_picos end as apart_picos
  from rollup_cost
  cross join kind
  where grain = 'agent_customer'
    and (select ledger_row from compacted) > 0
    and cost_picos is not null
    and is_reported = (cost_source = 'reported')
),
of_calls as (
  select
    substr(ts, 1, 10) as day,
    agent_id,
    team,
    feature,
    customer_id,
    provider,
    model,
    service_tier,
    region,
    cost_source,
    price_source,
    token_type,
    case token_type
      when 'input' then prompt_tokens - coalesce(cache_read_tokens, 0) - coalesce(cache_write_tokens, 0)
      when 'cache_read' then cache_read_tokens
      when 'cache_write' then cache_write_tokens - coalesce(cache_write_1h_tokens, 0)
      when 'cache_write_1h' then cache_write_1h_tokens
      when 'output' then completion_tokens - coalesce(reasoning_tokens, 0)
      when 'reasoning' then reasoning_tokens
      when 'web_search' then web_search_requests
      when 'request' then request_picos <> 0
      when 'whole' then 1
    end as quantity,
    case token_type
      when 'input' then input_picos
      when 'cache_read' then cache_read_picos
      when 'cache_write' then cache_write_picos
      when 'cache_write_1h' then cache_write_1h_picos
      when 'output' then output_picos
      when 'reasoning' then reasoning_picos
      when 'web_search' then web_search_picos
      when 'request' then request_picos
      when 'units' then units_picos
      else cost_picos
    end as picos
  from call
  cross join kind
  where is_reported = (cost_source = 'reported')
)
select
  cast(day as text) as day,
  agent_id,
  team,
  feature,
  customer_id,
  provider,
  model,
  service_tier,
  region,
  cost_source,
  price_source,
  cast(token_type as text) as token_type,
  cast(quantity as integer) as quantity,
  cast(unit_picos as integer) as unit_picos,
  cast(case
    when unit_picos is null then apart_picos
    when unit_picos > 0 and quantity > 9223372036854775807 / unit_picos then abs(-9223372036854775807 - 1)  -- integer overflow
    else quantity * unit_picos
  end as integer) as cost_picos
from of_rollups
where quantity > 0 or (token_type = 'units' and apart_picos <> 0)
union all
select
  cast(day as text),
  agent_id,
  team,
  feature,
  customer_id,
  provider,
  model,
  service_tier,
  region,
  cost_source,
  price_source,
  cast(token_type as text),
  cast(quantity as integer),
  -- What a call is charged is a whole multiple of its unit price, so this is the unit price.
  cast(iif(token_type in ('units', 'whole'), null, picos / quantity) as integer),
  cast(picos as integer)
from of_calls
where quantity > 0 or (token_type = 'units' and picos <> 0)
