/*
Where in the rollups does each inference belong? By what determines its cost, and by when a price or an assignment changes.

Grain: one row per ledger row, whether it counts or not.
Reads: ledger, rate, agent_assignment, usage_key.

id                     integer  ledger.id
ts                     text     When the call was made, ISO 8601 UTC
agent_id               text     As in usage_key
model                  text     As in usage_key
provider               text     As in usage_key
service_tier           text     As in usage_key
region                 text     As in usage_key
feature                text     As in usage_key
min_tokens             integer  As in usage_key
time_from              text     As in usage_key
prompt                 integer  As in usage_key
completion             integer  As in usage_key
searches               integer  As in usage_key
units                  integer  As in usage_key
reported               integer  As in usage_key
anomaly                integer  As in usage_key
off_tier               integer  As in usage_key
key_id                 integer  usage_key.id. NULL: not there yet
all_agents_id          integer  The same for all agents together. NULL: not there yet
rate_cut               text     Since when the price holds; empty: since before the month
agent_cut              text     Since when the assignment holds; empty: since before the month
customer_id            text     Or (unattributed)
prompt_tokens          integer  What the provider did not say is 0 here, and in the following
completion_tokens      integer  Like prompt_tokens
cache_read_tokens      integer  Like prompt_tokens
cache_write_tokens     integer  Like prompt_tokens
cache_write_1h_tokens  integer  Like prompt_tokens
reasoning_tokens       integer  Like prompt_tokens
web_search_requests    integer  Like prompt_tokens
reported_4096ths       integer  What the provider says it cost: whole 4096ths of a dollar
reported_picos         integer  And the remaining pico-dollars (1e-12 USD)
usage                  text     Other billed units, a JSON object. NULL: none
loose                  integer  1: its cost can't be added up with others, see usage_loose
*/
with priced as (
  select
    ledger.id,
    ledger.ts,
    ledger.agent_id,
    ledger.model,
    coalesce(ledger.provider, '') as provider,
    coalesce(ledger.service_tier, '') as service_tier,
    coalesce(ledger.region, '') as region,
    coalesce(ledger.feature, '') as feature,
    ledger.customer_id,
    ledger.prompt_tokens,
    ledger.completion_tokens,
    ledger.cache_read_tokens,
    ledger.cache_write_tokens,
    ledger.cache_write_1h_tokens,
    ledger.reasoning_tokens,
    ledger.web_search_requests,
    ledger.tier_tokens,
    ledger.reported_cost_usd,
    ledger.anomaly,
    ledger.usage,
    rate.min_tokens,
    rate.time_from,
    rate.valid_from
  from ledger
  left join rate
    on rate.model = ledger.model
    and rate.provider = coalesce(ledger.provider, '')
    and rate.service_tier = coalesce(ledger.service_tier, '')
    and rate.region = coalesce(ledger.region, '')
    and ledger.ts >= rate.valid_from
    and ledger.ts < rate.valid_to
    and substr(ledger.ts, 12, 5) >= rate.time_from
    and substr(ledger.ts, 12, 5) < rate.time_to
    and coalesce(ledger.tier_tokens, ledger.prompt_tokens, 0) >= rate.min_tokens
    and coalesce(ledger.tier_tokens, ledger.prompt_tokens, 0) < rate.max_tokens
),
placed as (
  select
    id,
    ts,
    agent_id,
    model,
    provider,
    service_tier,
    region,
    feature,
    -- Where no price is in force, the limits of those before and after divide the calls all the same.
    coalesce(
      min_tokens,
      (
        select max(rate.min_tokens) from rate
        where rate.model = priced.model and rate.provider = priced.provider
          and rate.service_tier = priced.service_tier and rate.region = priced.region
          and rate.min_tokens <= coalesce(priced.tier_tokens, priced.prompt_tokens, 0)
      ),
      0
    ) as min_tokens,
    coalesce(
      time_from,
      (
        select max(rate.time_from) from rate
        where rate.model = priced.model and rate.provider = priced.provider
          and rate.service_tier = priced.service_tier and rate.region = priced.region
          and rate.time_from <= substr(priced.ts, 12, 5)
      ),
      '00:00'
    ) as time_from,
    coalesce(prompt_tokens > 0, -1) as prompt,
    coalesce(completion_tokens > 0, -1) as completion,
    coalesce(web_search_requests > 0, 0) as searches,
    usage is not null as units,
    coalesce(reported_cost_usd > 0, 0) as reported,
    anomaly is not null as anomaly,
    coalesce(tier_tokens <> prompt_tokens, 0) as off_tier,
    coalesce(
      valid_from,
      (
        select max(rate.valid_to) from rate
        where rate.model = priced.model and rate.provider = priced.provider
          and rate.service_tier = priced.service_tier and rate.region = priced.region
          and rate.valid_to <= priced.ts
      ),
      ''
    ) as rate_since,
    coalesce(
      (
        select max(valid_from) from agent_assignment
        where agent_assignment.agent_id = priced.agent_id and agent_assignment.valid_from <= priced.ts
      ),
      ''
    ) as agent_since,
    coalesce(customer_id, '(unattributed)') as customer_id,
    coalesce(prompt_tokens, 0) as prompt_tokens,
    coalesce(completion_tokens, 0) as completion_tokens,
    coalesce(cache_read_tokens, 0) as cache_read_tokens,
    coalesce(cache_write_tokens, 0) as cache_write_tokens,
    coalesce(cache_write_1h_tokens, 0) as cache_write_1h_tokens,
    coalesce(reasoning_tokens, 0) as reasoning_tokens,
    coalesce(web_search_requests, 0) as web_search_requests,
    cast(round(iif(reported_cost_usd > 0, reported_cost_usd, 0) * 1e12) as integer) as reported_picos,
    usage
  from priced
)
select
  placed.id,
  placed.ts,
  placed.agent_id,
  placed.model,
  cast(placed.provider as text) as provider,
  cast(placed.service_tier as text) as service_tier,
  cast(placed.region as text) as region,
  cast(placed.feature as text) as feature,
  cast(placed.min_tokens as integer) as min_tokens,
  cast(placed.time_from as text) as time_from,
  cast(placed.prompt as integer) as prompt,
  cast(placed.completion as integer) as completion,
  cast(placed.searches as integer) as searches,
  cast(placed.units as integer) as units,
  cast(placed.reported as integer) as reported,
  cast(placed.anomaly as integer) as anomaly,
  cast(placed.off_tier as integer) as off_tier,
  cast(usage_key.id as integer) as key_id,
  cast(usage_key.all_agents_id as integer) as all_agents_id,
  cast(iif(placed.rate_since > substr(placed.ts, 1, 7) || '-01T00:00:00.000Z', placed.rate_since, '') as text) as rate_cut,
  cast(iif(placed.agent_since > substr(placed.ts, 1, 7) || '-01T00:00:00.000Z', placed.agent_since, '') as text) as agent_cut,
  cast(placed.customer_id as text) as customer_id,
  cast(placed.prompt_tokens as integer) as prompt_tokens,
  cast(placed.completion_tokens as integer) as completion_tokens,
  cast(placed.cache_read_tokens as integer) as cache_read_tokens,
  cast(placed.cache_write_tokens as integer) as cache_write_tokens,
  cast(placed.cache_write_1h_tokens as integer) as cache_write_1h_tokens,
  cast(placed.reasoning_tokens as integer) as reasoning_tokens,
  cast(placed.web_search_requests as integer) as web_search_requests,
  cast(placed.reported_picos / 244140625 as integer) as reported_4096ths,
  cast(placed.reported_picos % 244140625 as integer) as reported_picos,
  placed.usage,
  cast(placed.usage is not null and exists (
    select 1 from json_each(placed.usage) where type <> 'integer' or value not between 0 and 1000000
  ) as integer) as loose
from placed
left join usage_key
  on usage_key.agent_id = placed.agent_id
  and usage_key.model = placed.model
  and usage_key.provider = placed.provider
  and usage_key.service_tier = placed.service_tier
  and usage_key.region = placed.region
  and usage_key.feature = placed.feature
  and usage_key.min_tokens = placed.min_tokens
  and usage_key.time_from = placed.time_from
  and usage_key.prompt = placed.prompt
  and usage_key.completion = placed.completion
  and usage_key.searches = placed.searches
  and usage_key.units = placed.units
  and usage_key.reported = placed.reported
  and usage_key.anomaly = placed.anomaly
  and usage_key.off_tier = placed.off_tier
