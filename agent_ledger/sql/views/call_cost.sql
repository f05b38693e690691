/*
What did each LLM call cost? This is the one place where the cost of a call is defined; all other views add it up.

The price is the one in force at the time of the call, for its model, provider, service tier, region and number of input
tokens (table rate). What the provider says it charged counts only where its token counts contradict each other or no
price is known.

Grain: one row per inference that counts.
Reads: usage, rate, assignment.
Sums to: the naive sum over ledger and price_revision, to the pico-dollar.

id                     integer  ledger.id
ts                     text     When the call was made, ISO 8601 UTC
agent_id               text     Who made it
request_id             text     The runtime's id of the request
team                   text     The agent's team at that time. NULL: none
feature                text     As stamped on the call, else the agent's feature at that time. NULL: none
owner                  text     The agent's owner at that time. NULL: nobody
customer_id            text     On whose behalf. NULL: nobody's
session_id             text     NULL: not recorded
provider               text     Who runs the model. NULL: not recorded
model                  text     The model that answered
service_tier           text     NULL: standard
region                 text     NULL: not recorded
prompt_tokens          integer  All input tokens, cached ones included. NULL: the provider did not say
completion_tokens      integer  All output tokens, reasoning included. NULL: the provider did not say
cache_read_tokens      integer  Part of prompt_tokens. NULL: not said
cache_write_tokens     integer  Part of prompt_tokens, those for one hour included. NULL: not said
cache_write_1h_tokens  integer  Part of cache_write_tokens. NULL: not said
reasoning_tokens       integer  Part of completion_tokens. NULL: not said
web_search_requests    integer  NULL: none
cost_usd               real     US dollars. NULL: unpriced
cost_picos             integer  The same, exactly, in pico-dollars (1e-12 USD). NULL: unpriced
cost_source            text     computed; estimated: from counts that do not add up, or a tier that is not certain; reported: by the provider. NULL: unpriced
price_source           text     Who says what it costs: contract, genai-prices, reported, … NULL: nobody
price_id               integer  price_revision.id of the price in force. NULL: none
reported_cost_usd      real     US dollars, as the provider says. NULL: it does not say
response_id            text     The provider's id of the response. NULL: not recorded
part                   integer  Which inference of the response, from 0
evidence               text     response, stream, partial, log, span, header or manual
anomaly                text     What does not add up in the provider's counts. NULL: they add up
usage                  text     Other billed units, a JSON object. NULL: none
input_picos            integer  What the price makes of uncached input; this and the following add up to cost_picos, unless cost_source is reported
cache_read_picos       integer  Of cache reads
cache_write_picos      integer  Of cache writes for five minutes
cache_write_1h_picos   integer  Of cache writes for one hour
output_picos           integer  Of output without reasoning
reasoning_picos        integer  Of reasoning
web_search_picos       integer  Of web searches
request_picos          integer  The fee per call
units_picos            integer  Of the units in usage; negative where they cost less than the tokens that they are part of
*/
-- SQLite works a column out anew in each place that uses it, and both sides of AND and OR: hence iif, and `prices`.
with computed as (
  select
    usage.*,
    rate.price_source,
    rate.price_id,
    iif(usage.tier_tokens <> usage.prompt_tokens, rate.min_tokens > 0 or rate.max_tokens < 9223372036854775807, 0) as off_tier,
    -- NULL where a count or a price is unknown that the cost depends on, so that the cost is.
    iif(prompt_tokens = 0, 0, prompt_tokens + rate.input + rate.cache_read + rate.cache_write + rate.cache_write_1h)
    + iif(completion_tokens = 0, 0, completion_tokens + rate.output + rate.reasoning)
    + iif(web_search_requests > 0, rate.web_search, 0)
    + rate.request as prices,
    (prompt_tokens - coalesce(cache_read_tokens, 0) - coalesce(cache_write_tokens, 0)) * rate.input as for_input,
    coalesce(cache_read_tokens, 0) * rate.cache_read as for_cache_read,
    (coalesce(cache_write_tokens, 0) - coalesce(cache_write_1h_tokens, 0)) * rate.cache_write as for_cache_write,
    coalesce(cache_write_1h_tokens, 0) * rate.cache_write_1h as for_cache_write_1h,
    (completion_tokens - coalesce(reasoning_tokens, 0)) * rate.output as for_output,
    coalesce(reasoning_tokens, 0) * rate.reasoning as for_reasoning,
    iif(web_search_requests > 0, web_search_requests * rate.web_search, 0) as for_web_search,
    rate.request as for_request,
    iif(usage.usage is null or rate.units is null, 0, (
      select cast(round(coalesce(sum(used.value * priced.value), 0)) as integer)
      from json_each(usage.usage) as used
      join json_each(rate.units) as priced on priced.key = used.key
    )) as for_units
  from usage
  left join rate
    on rate.model = usage.model
    and rate.provider = coalesce(usage.provider, '')
    and rate.service_tier = coalesce(usage.service_tier, '')
    and rate.region = coalesce(usage.region, '')
    and usage.ts >= rate.valid_from
    and usage.ts < rate.valid_to
    and (rate.time_from = '00:00' or substr(usage.ts, 12, 5) >= rate.time_from)
    and (rate.time_to = '24:00' or substr(usage.ts, 12, 5) < rate.time_to)
    and usage.tier_tokens >= rate.min_tokens
    and usage.tier_tokens < rate.max_tokens
),
added as (
  select
    *,
    iif(prompt_tokens = 0, 0, for_input + for_cache_read + for_cache_write + for_cache_write_1h)
    + iif(completion_tokens = 0, 0, for_output + for_reasoning)
    + for_web_search
    + for_request
    + for_units as picos
  from computed
),
decided as (
  select *, iif(reported_cost_usd > 0, iif(anomaly is null, prices is null, 1), 0) as as_reported from added
),
costed as (
  select
    *,
    iif(as_reported, cast(round(reported_cost_usd * 1e12) as integer), picos) as cost,
    case
      when as_reported then 'reported'
      when prices is null then null
      when anomaly is not null or off_tier then 'estimated'
      else 'computed'
    end as source
  from decided
)
select
  costed.id,
  costed.ts,
  costed.agent_id,
  costed.request_id,
  assignment.team,
  cast(coalesce(costed.feature, assignment.feature) as text) as feature,
  assignment.owner,
  costed.customer_id,
  costed.session_id,
  costed.provider,
  costed.model,
  costed.service_tier,
  costed.region,
  costed.prompt_tokens,
  costed.completion_tokens,
  costed.cache_read_tokens,
  costed.cache_write_tokens,
  costed.cache_write_1h_tokens,
  costed.reasoning_tokens,
  costed.web_search_requests,
  -- Up to 2^53 the division rounds once; above, the part in 4096ths is exact in binary: the nearest double at any size.
  cast(iif(
    costed.cost < 9007199254740992,
    costed.cost / 1e12,
    costed.cost / 244140625 / 4096.0 + costed.cost % 244140625 / 1e12
  ) as real) as cost_usd,
  cast(costed.cost as integer) as cost_picos,
  cast(costed.source as text) as cost_source,
  cast(iif(costed.as_reported, 'reported', costed.price_source) as text) as price_source,
  cast(costed.price_id as integer) as price_id,
  costed.reported_cost_usd,
  costed.response_id,
  costed.part,
  costed.evidence,
  costed.anomaly,
  costed.usage,
  cast(iif(costed.prompt_tokens = 0, 0, costed.for_input) as integer) as input_picos,
  cast(iif(costed.prompt_tokens = 0, 0, costed.for_cache_read) as integer) as cache_read_picos,
  cast(iif(costed.prompt_tokens = 0, 0, costed.for_cache_write) as integer) as cache_write_picos,
  cast(iif(costed.prompt_tokens = 0, 0, costed.for_cache_write_1h) as integer) as cache_write_1h_picos,
  cast(iif(costed.completion_tokens = 0, 0, costed.for_output) as integer) as output_picos,
  cast(iif(costed.completion_tokens = 0, 0, costed.for_reasoning) as integer) as reasoning_picos,
  cast(costed.for_web_search as integer) as web_search_picos,
  cast(costed.for_request as integer) as request_picos,
  cast(costed.for_units as integer) as units_picos
from costed
left join assignment
  on assignment.agent_id = costed.agent_id
  and costed.ts >= assignment.valid_from
  and costed.ts < assignment.valid_to
