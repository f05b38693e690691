/*
What did the calls in the rollups cost? The cost of one call is defined in call_cost; this adds up many at the same price.

Grain: one row per row of usage_rollup: filter by grain, each of them holds every call once.
Reads: usage_rollup, usage_key, usage_unit_rollup, rate, assignment.
Sums to: call_cost of the calls in the rollups, exactly, for each grain.

grain                      text     As in usage_rollup
key_id                     integer  usage_key.id
bucket                     text     The UTC hour, day or month: YYYY-MM-DDTHH, YYYY-MM-DD or YYYY-MM
since                      text     The calls are from this moment on, ISO 8601 UTC
agent_id                   text     Who made them; empty: all agents together
team                       text     The agent's team at that time. NULL: none
feature                    text     As stamped on the calls, else the agent's feature at that time. NULL: none
owner                      text     The agent's owner at that time. NULL: nobody
customer_id                text     On whose behalf. NULL: nobody's, or all customers together
customer                   text     The same as usage_rollup has it, so that filters are quick: (unattributed), or empty: all together
provider                   text     Who runs the model. NULL: not recorded
model                      text     The model that answered
service_tier               text     NULL: standard
region                     text     NULL: not recorded
calls                      integer  Inferences
prompt_tokens              integer  All input tokens, cached ones included. NULL: the provider did not say
completion_tokens          integer  All output tokens, reasoning included. NULL: the provider did not say
cache_read_tokens          integer  Part of prompt_tokens
cache_write_tokens         integer  Part of prompt_tokens, those for one hour included
cache_write_1h_tokens      integer  Part of cache_write_tokens
reasoning_tokens           integer  Part of completion_tokens
web_search_requests        integer  Billed per request
cost_4096ths               integer  Their cost exactly, first part: whole 4096ths of a dollar. NULL: unpriced
cost_picos                 integer  Second part: the remaining pico-dollars (1e-12 USD). NULL: unpriced
cost_source                text     computed, estimated or reported, see call_cost. NULL: unpriced
price_source               text     Who says what they cost. NULL: nobody
price_id                   integer  price_revision.id of the price in force. NULL: none
searches                   integer  1: each of the calls has web searches
first_ts                   text     The first of the calls. NULL: look at the calls, and always by customer
last_ts                    text     The last
input_unit_picos           integer  Pico-dollars (1e-12 USD) per token of uncached input. NULL: no price is known
cache_read_unit_picos      integer  Per token read from the cache
cache_write_unit_picos     integer  Written to the cache for five minutes
cache_write_1h_unit_picos  integer  Written to the cache for one hour
output_unit_picos          integer  Of output without reasoning
reasoning_unit_picos       integer  Of reasoning
web_search_unit_picos      integer  Per web search
request_unit_picos         integer  Per call
units_picos                integer  Of the units in usage; negative where they cost less than the tokens that they are part of
*/
with dated as (
  select
    usage_rollup.*,
    bucket || substr('0000-01-01T00:00:00.000Z', length(bucket) + 1) as starts,
    prompt_tokens - cache_read_tokens - cache_write_tokens as input_tokens,
    cache_write_tokens - cache_write_1h_tokens as cache_write_5m_tokens,
    completion_tokens - reasoning_tokens as output_tokens
  from usage_rollup
),
priced as (
  select
    dated.*,
    iif(dated.cut = '', dated.starts, dated.cut) as since,
    usage_key.agent_id,
    usage_key.model,
    usage_key.provider,
    usage_key.service_tier,
    usage_key.region,
    usage_key.feature,
    usage_key.prompt,
    usage_key.completion,
    usage_key.searches,
    usage_key.units,
    usage_key.reported,
    usage_key.anomaly,
    usage_key.off_tier,
    rate.price_source,
    rate.price_id,
    rate.min_tokens > 0 or rate.max_tokens < 9223372036854775807 as has_bands,
    rate.units as unit_prices,
    rate.input as input_unit_picos,
    rate.cache_read as cache_read_unit_picos,
    rate.cache_write as cache_write_unit_picos,
    rate.cache_write_1h as cache_write_1h_unit_picos,
    rate.output as output_unit_picos,
    rate.reasoning as reasoning_unit_picos,
    rate.web_search as web_search_unit_picos,
    rate.request as request_unit_picos,
    -- Millions of tokens (of 2^20) and the rest are multiplied apart: together they would pass 64 bits at 9 million dollars.
    case usage_key.prompt
      when 0 then 0
      when 1 then (input_tokens >> 20) * rate.input + (cache_read_tokens >> 20) * rate.cache_read
        + (cache_write_5m_tokens >> 20) * rate.cache_write + (cache_write_1h_tokens >> 20) * rate.cache_write_1h
    end
    + case usage_key.completion
      when 0 then 0
      when 1 then (output_tokens >> 20) * rate.output + (reasoning_tokens >> 20) * rate.reasoning
    end
    + iif(usage_key.searches, (web_search_requests >> 20) * rate.web_search, 0)
    + (calls >> 20) * rate.request as mebis,
    case usage_key.prompt
      when 0 then 0
      when 1 then (input_tokens & 1048575) * rate.input + (cache_read_tokens & 1048575) * rate.cache_read
        + (cache_write_5m_tokens & 1048575) * rate.cache_write + (cache_write_1h_tokens & 1048575) * rate.cache_write_1h
    end
    + case usage_key.completion
      when 0 then 0
      when 1 then (output_tokens & 1048575) * rate.output + (reasoning_tokens & 1048575) * rate.reasoning
    end
    + iif(usage_key.searches, (web_search_requests & 1048575) * rate.web_search, 0)
    + (calls & 1048575) * rate.request as ones
  -- Keys first, few as they are: then an agent and a period lead straight to their rows.
  from usage_key
  cross join dated on dated.key_id = usage_key.id
  left join rate
    on rate.model = usage_key.model
    and rate.provider = usage_key.provider
    and rate.service_tier = usage_key.service_tier
    and rate.region = usage_key.region
    and iif(dated.cut = '', dated.starts, dated.cut) >= rate.valid_from
    and iif(dated.cut = '', dated.starts, dated.cut) < rate.valid_to
    and usage_key.time_from >= rate.time_from
    and usage_key.time_from < rate.time_to
    and usage_key.min_tokens >= rate.min_tokens
    and usage_key.min_tokens < rate.max_tokens
),
with_units as (
  select
    *,
    iif(units and unit_prices is not null, (
      select coalesce(sum((used.quantity >> 20) * unit_price.value), 0)
      from usage_unit_rollup as used
      join json_each(priced.unit_prices) as unit_price on unit_price.key = used.unit
      where used.grain = priced.grain and used.key_id = priced.key_id and used.bucket = priced.bucket
        and used.cut = priced.cut and used.customer_id = priced.customer_id
    ), 0) as unit_mebis,
    iif(units and unit_prices is not null, (
      select coalesce(sum((used.quantity & 1048575) * unit_price.value), 0)
      from usage_unit_rollup as used
      join json_each(priced.unit_prices) as unit_price on unit_price.key = used.unit
      where used.grain = priced.grain and used.key_id = priced.key_id and used.bucket = priced.bucket
        and used.cut = priced.cut and used.customer_id = priced.customer_id
    ), 0) as unit_ones
  from priced
),
decided as (
  select
    *,
    case
      when reported and (ones is null or anomaly) then 'reported'
      when ones is null then null
      when anomaly or (off_tier and has_bands) then 'estimated'
      else 'computed'
    end as source,
    (mebis + unit_mebis) / 244140625 * 1048576 as computed_whole,
    (mebis + unit_mebis) % 244140625 * 1048576 + ones + unit_ones as computed_rest
  from with_units
)
select
  decided.grain,
  decided.key_id,
  decided.bucket,
  cast(decided.since as text) as since,
  decided.agent_id,
  assignment.team,
  cast(coalesce(nullif(decided.feature, ''), assignment.feature) as text) as feature,
  assignment.owner,
  cast(iif(decided.customer_id in ('', '(unattributed)'), null, decided.customer_id) as text) as customer_id,
  decided.customer_id as customer,
  cast(nullif(decided.provider, '') as text) as provider,
  decided.model,
  cast(nullif(decided.service_tier, '') as text) as service_tier,
  cast(nullif(decided.region, '') as text) as region,
  decided.calls,
  cast(iif(decided.prompt < 0, null, decided.prompt_tokens) as integer) as prompt_tokens,
  cast(iif(decided.completion < 0, null, decided.completion_tokens) as integer) as completion_tokens,
  decided.cache_read_tokens,
  decided.cache_write_tokens,
  decided.cache_write_1h_tokens,
  decided.reasoning_tokens,
  decided.web_search_requests,
  cast(iif(decided.source = 'reported', decided.reported_4096ths, decided.computed_whole + decided.computed_rest / 244140625) as integer)
    as cost_4096ths,
  cast(iif(decided.source = 'reported', decided.reported_picos, decided.computed_rest % 244140625) as integer) as cost_picos,
  cast(decided.source as text) as cost_source,
  cast(iif(decided.source = 'reported', 'reported', decided.price_source) as text) as price_source,
  cast(decided.price_id as integer) as price_id,
  decided.searches,
  decided.first_ts,
  decided.last_ts,
  decided.input_unit_picos,
  decided.cache_read_unit_picos,
  decided.cache_write_unit_picos,
  decided.cache_write_1h_unit_picos,
  decided.output_unit_picos,
  decided.reasoning_unit_picos,
  decided.web_search_unit_picos,
  decided.request_unit_picos,
  cast(decided.unit_mebis * 1048576 + decided.unit_ones as integer) as units_picos
from decided
left join assignment
  on assignment.agent_id = decided.agent_id
  and decided.since >= assignment.valid_from
  and decided.since < assignment.valid_to
