/*
Which calls have no cost, and why? Their money is missing from every total.

Grain: one row per provider, model, service_tier, region and reason.
Reads: usage_cost, forgotten_moment, rate_key, price_revision.

provider           text     Who runs the model, or (unattributed)
model              text     The model that answered
service_tier       text     NULL: standard
region             text     NULL: not recorded
calls              integer  Inferences
prompt_tokens      integer  Their input tokens. NULL: not known
completion_tokens  integer  Their output tokens. NULL: not known
first_ts           text     The first of these calls, ISO 8601 UTC
last_ts            text     The last
reason             text     What is missing
*/
with unpriced as (
  select
    provider, model, service_tier, region, price_id, searches, prompt_tokens is not null and completion_tokens is not null as is_counted,
    calls, prompt_tokens, completion_tokens, first_ts, last_ts
  from usage_cost
  where grain in ('month', 'call') and cost_picos is null
  union all
  -- Of calls that are counted above.
  select
    provider, model, service_tier, region, price_id, searches, prompt_tokens is not null and completion_tokens is not null,
    0, null, null, first_ts, last_ts
  from forgotten_moment
  where cost_picos is null
)
select
  cast(coalesce(unpriced.provider, '(unattributed)') as text) as provider,
  unpriced.model,
  unpriced.service_tier,
  unpriced.region,
  cast(sum(unpriced.calls) as integer) as calls,
  cast(sum(unpriced.prompt_tokens) as integer) as prompt_tokens,
  cast(sum(unpriced.completion_tokens) as integer) as completion_tokens,
  cast(min(unpriced.first_ts) as text) as first_ts,
  cast(max(unpriced.last_ts) as text) as last_ts,
  cast(case
    when not unpriced.is_counted then 'the provider reported no token counts'
    when unpriced.price_id is not null and unpriced.searches and price_revision.web_search is null
      then 'the price list has no price for web searches'
    when unpriced.price_id is not null then 'the price list has no price for these tokens'
    when rate_key.reason is not null then rate_key.reason
    when rate_key.resolved_at is null then 'its price was not looked up yet: run agent-ledger prices LEDGER sync'
    else 'no price was in force at the time of the call'
  end as text) as reason
from unpriced
left join rate_key
  on rate_key.model = unpriced.model
  and rate_key.provider = coalesce(unpriced.provider, '')
  and rate_key.service_tier = coalesce(unpriced.service_tier, '')
  and rate_key.region = coalesce(unpriced.region, '')
left join price_revision on price_revision.id = unpriced.price_id
group by 1, 2, 3, 4, 10
