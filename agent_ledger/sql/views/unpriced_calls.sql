/*
Which calls have no cost, and why? Their money is missing from every total.

Grain: one row per provider, model, service_tier, region and reason.
Reads: call_cost, rate_key, price_revision.

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
select
  cast(coalesce(call_cost.provider, '(unattributed)') as text) as provider,
  call_cost.model,
  call_cost.service_tier,
  call_cost.region,
  cast(count(*) as integer) as calls,
  cast(sum(call_cost.prompt_tokens) as integer) as prompt_tokens,
  cast(sum(call_cost.completion_tokens) as integer) as completion_tokens,
  cast(min(call_cost.ts) as text) as first_ts,
  cast(max(call_cost.ts) as text) as last_ts,
  cast(case
    when call_cost.prompt_tokens is null or call_cost.completion_tokens is null then 'the provider reported no token counts'
    when call_cost.price_id is not null and call_cost.web_search_requests > 0 and price_revision.web_search is null
      then 'the price list has no price for web searches'
    when call_cost.price_id is not null then 'the price list has no price for these tokens'
    when rate_key.reason is not null then rate_key.reason
    when rate_key.resolved_at is null then 'its price was not looked up yet: run agent-ledger prices LEDGER sync'
    else 'no price was in force at the time of the call'
  end as text) as reason
from call_cost
left join rate_key
  on rate_key.model = call_cost.model
  and rate_key.provider = coalesce(call_cost.provider, '')
  and rate_key.service_tier = coalesce(call_cost.service_tier, '')
  and rate_key.region = coalesce(call_cost.region, '')
left join price_revision on price_revision.id = call_cost.price_id
where call_cost.cost_picos is null
group by 1, 2, 3, 4, 10
