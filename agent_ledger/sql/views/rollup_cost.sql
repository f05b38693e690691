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
cost_4096ths               integer  Their cost exactly, first part: whole 4096ths of a dollar. Unpriced: 0, or NULL
cost_picos                 integer  Second part: the remaining pico-dollars (1e-12 USD), which may be more than one 4096th. NULL: unpriced
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
-- SQLite works a column out anew in each place that uses it, and both sides of AND and OR: so the large ones below are used
-- once or twice, and iif asks first whether they are needed.
with dated as (
  select
    usage_rollup.*,
    iif(cut = '', bucket || substr('0000-01-01T00:00:00.000Z', length(bucket) + 1), cut) as since,
    prompt_tokens - cache_read_tokens - cache_write_tokens as input_tokens,
    cache_write_tokens - cache_write_1h_tokens as cache_write_5m_tokens,
    completion_tokens - reasoning_tokens as output_tokens
  from usage_rollup
),
priced as (
  select
    dated.*,
    usage_key.agent_id,
    usage_key.model,
    usage_key.provider,
    usage_key.service_tier,
    usage_key.region,
    usage_key.feature,
    usage_key.prompt,
    usage_key.completion,
    usage_key.searches,
    iif(usage_key.units, rate.units is not null, 0) as has_units,
    usage_key.reported,
    usage_key.anomaly,
    iif(usage_key.off_tier, usage_key.anomaly or rate.min_tokens > 0 or rate.max_tokens < 9223372036854775807, usage_key.anomaly) as uncertain,
    rate.price_source,
    rate.price_id,
    rate.units as unit_prices,
    rate.input as input_unit_picos,
    rate.cache_read as cache_read_unit_picos,
    rate.cache_write as cache_write_unit_picos,
    rate.cache_write_1h as cache_write_1h_unit_picos,
    rate.output as output_unit_picos,
    rate.reasoning as reasoning_unit_picos,
    rate.web_search as web_search_unit_picos,
    rate.request as request_unit_picos,
    -- NULL where a price is unknown that these calls need.
    case usage_key.prompt when 0 then 0 when 1 then rate.input + rate.cache_read + rate.cache_write + rate.cache_write_1h end
    + case usage_key.completion when 0 then 0 when 1 then rate.output + rate.reasoning end
    + iif(usage_key.searches, rate.web_search, 0)
    + rate.request as prices
  -- Keys first, few as they are: then an agent and a period lead straight to their rows.
  from usage_key
  cross join dated on dated.key_id = usage_key.id
  left join rate
    on rate.model = usage_key.model
    and rate.provider = usage_key.provider
    and rate.service_tier = usage_key.service_tier
    and rate.region = usage_key.region
    and dated.since >= rate.valid_from
    and dated.since < rate.valid_to
    and usage_key.time_from >= rate.time_from
    and usage_key.time_from < rate.time_to
    and usage_key.min_tokens >= rate.min_tokens
    and usage_key.min_tokens < rate.max_tokens
),
multiplied as (
  select
    *,
    iif(reported, anomaly or prices is null, 0) as as_reported,
    -- Where counts are large they are multiplied in two parts, of 2^26 tokens, 2^20 calls: the product would pass 64 bits
    -- at 9 million dollars.
    iif((prompt_tokens | completion_tokens) < 67108864 and (calls | web_search_requests) < 1048576 and not has_units, 0, (
      case prompt
        when 0 then 0
        when 1 then (input_tokens >> 26 << 6) * input_unit_picos + (cache_read_tokens >> 26 << 6) * cache_read_unit_picos
          + (cache_write_5m_tokens >> 26 << 6) * cache_write_unit_picos
          + (cache_write_1h_tokens >> 26 << 6) * cache_write_1h_unit_picos
      end
      + case completion
        when 0 then 0
        when 1 then (output_tokens >> 26 << 6) * output_unit_picos + (reasoning_tokens >> 26 << 6) * reasoning_unit_picos
      end
      + iif(searches, (web_search_requests >> 20) * web_search_unit_picos, 0)
      + (calls >> 20) * request_unit_picos
      + iif(has_units, (
        select coalesce(sum((used.quantity >> 20) * unit_price.value), 0)
        from usage_unit_rollup as used
        join json_each(priced.unit_prices) as unit_price on unit_price.key = used.unit
        where used.grain = priced.grain and used.key_id = priced.key_id and used.bucket = priced.bucket
          and used.cut = priced.cut and used.customer_id = priced.customer_id
      ), 0)
    )) as mebis,
    case prompt
      when 0 then 0
      when 1 then (input_tokens & 67108863) * input_unit_picos + (cache_read_tokens & 67108863) * cache_read_unit_picos
        + (cache_write_5m_tokens & 67108863) * cache_write_unit_picos
        + (cache_write_1h_tokens & 67108863) * cache_write_1h_unit_picos
    end
    + case completion
      when 0 then 0
      when 1 then (output_tokens & 67108863) * output_unit_picos + (reasoning_tokens & 67108863) * reasoning_unit_picos
    end
    + iif(searches, (web_search_requests & 1048575) * web_search_unit_picos, 0)
    + (calls & 1048575) * request_unit_picos
    + iif(has_units, (
      select coalesce(sum((used.quantity & 1048575) * unit_price.value), 0)
      from usage_unit_rollup as used
      join json_each(priced.unit_prices) as unit_price on unit_price.key = used.unit
      where used.grain = priced.grain and used.key_id = priced.key_id and used.bucket = priced.bucket
        and used.cut = priced.cut and used.customer_id = priced.customer_id
    ), 0) as ones
  from priced
)
select
  multiplied.grain,
  multiplied.key_id,
  multiplied.bucket,
  cast(multiplied.since as text) as since,
  multiplied.agent_id,
  assignment.team,
  cast(coalesce(nullif(multiplied.feature, ''), assignment.feature) as text) as feature,
  assignment.owner,
  cast(iif(multiplied.customer_id in ('', '(unattributed)'), null, multiplied.customer_id) as text) as customer_id,
  multiplied.customer_id as customer,
  cast(nullif(multiplied.provider, '') as text) as provider,
  multiplied.model,
  cast(nullif(multiplied.service_tier, '') as text) as service_tier,
  cast(nullif(multiplied.region, '') as text) as region,
  multiplied.calls,
  cast(iif(multiplied.prompt < 0, null, multiplied.prompt_tokens) as integer) as prompt_tokens,
  cast(iif(multiplied.completion < 0, null, multiplied.completion_tokens) as integer) as completion_tokens,
  multiplied.cache_read_tokens,
  multiplied.cache_write_tokens,
  multiplied.cache_write_1h_tokens,
  multiplied.reasoning_tokens,
  multiplied.web_search_requests,
  cast(iif(multiplied.as_reported, multiplied.reported_4096ths, multiplied.mebis / 244140625 * 1048576) as integer) as cost_4096ths,
  cast(iif(
    multiplied.as_reported,
    multiplied.reported_picos,
    multiplied.mebis % 244140625 * 1048576 + multiplied.ones
  ) as integer) as cost_picos,
  cast(case
    when multiplied.as_reported then 'reported'
    when multiplied.prices is null then null
    when multiplied.uncertain then 'estimated'
    else 'computed'
  end as text) as cost_source,
  cast(iif(multiplied.as_reported, 'reported', multiplied.price_source) as text) as price_source,
  cast(multiplied.price_id as integer) as price_id,
  multiplied.searches,
  multiplied.first_ts,
  multiplied.last_ts,
  multiplied.input_unit_picos,
  multiplied.cache_read_unit_picos,
  multiplied.cache_write_unit_picos,
  multiplied.cache_write_1h_unit_picos,
  multiplied.output_unit_picos,
  multiplied.reasoning_unit_picos,
  multiplied.web_search_unit_picos,
  multiplied.request_unit_picos,
  cast(iif(multiplied.has_units, (
    select coalesce(sum((used.quantity >> 20) * unit_price.value) * 1048576 + sum((used.quantity & 1048575) * unit_price.value), 0)
    from usage_unit_rollup as used
    join json_each(multiplied.unit_prices) as unit_price on unit_price.key = used.unit
    where used.grain = multiplied.grain and used.key_id = multiplied.key_id and used.bucket = multiplied.bucket
      and used.cut = multiplied.cut and used.customer_id = multiplied.customer_id
  ), 0) as integer) as units_picos
from multiplied
left join assignment
  on assignment.agent_id = multiplied.agent_id
  and multiplied.since >= assignment.valid_from
  and multiplied.since < assignment.valid_to
