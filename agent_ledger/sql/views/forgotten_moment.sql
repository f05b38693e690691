/*
When were calls of which a rollup no longer knows the first or the last? Where that one ceased to count, others tell: those of its hours.

Rows are few until the next compaction looks at the calls again, and none after it.

Grain: one row per row of usage_rollup by hour, of a month and model of which the first or last call is not known, and per call of the hours in question.
Reads: usage_rollup, usage_key, rollup_cost, rollup_chunk, call_part.

provider           text     Who runs the model. NULL: not recorded
model              text     The model that answered
service_tier       text     NULL: standard
region             text     NULL: not recorded
prompt_tokens      integer  All input tokens. NULL: the provider did not say
completion_tokens  integer  All output tokens. NULL: the provider did not say
cost_picos         integer  Not zero: part of the cost. NULL: unpriced
price_id           integer  price_revision.id of the price in force. NULL: none
searches           integer  1: each of the calls has web searches
first_ts           text     The first of these calls, ISO 8601 UTC. NULL: not known here
last_ts            text     The last. NULL: not known here
*/
with month as (
  select distinct usage_key.model, usage_rollup.bucket
  from usage_rollup
  join usage_key on usage_key.id = usage_rollup.key_id
  where usage_rollup.grain = 'month' and (usage_rollup.first_ts is null or usage_rollup.last_ts is null)
),
hour as (
  select
    rollup_cost.bucket,
    rollup_cost.provider,
    rollup_cost.model,
    rollup_cost.service_tier,
    rollup_cost.region,
    rollup_cost.prompt_tokens,
    rollup_cost.completion_tokens,
    rollup_cost.cost_picos,
    rollup_cost.price_id,
    rollup_cost.searches,
    rollup_cost.first_ts,
    rollup_cost.last_ts
  from month
  cross join rollup_cost on rollup_cost.model = month.model
    and rollup_cost.bucket >= month.bucket || '-'
    and rollup_cost.bucket < month.bucket || '.'
  where rollup_cost.grain = 'hour'
),
known as (
  select *, min(first_ts) over same as known_first, max(last_ts) over same as known_last
  from hour
  window same as (
    partition by provider, model, service_tier, region, price_id, searches,
      prompt_tokens is null, completion_tokens is null, cost_picos is null
  )
),
searched as (
  -- Only calls of these hours can come before the first that is known, or after the last.
  select distinct model, bucket from known
  where (first_ts is null and bucket <= coalesce(known_first, '~')) or (last_ts is null and bucket || '~' >= coalesce(known_last, ''))
)
select
  provider,
  model,
  service_tier,
  region,
  prompt_tokens,
  completion_tokens,
  cost_picos,
  price_id,
  searches,
  first_ts,
  last_ts
from hour
union all
select
  call_part.provider,
  call_part.model,
  call_part.service_tier,
  call_part.region,
  call_part.prompt_tokens,
  call_part.completion_tokens,
  call_part.cost_picos,
  call_part.price_id,
  call_part.searches,
  call_part.first_ts,
  call_part.last_ts
from searched
cross join rollup_chunk on substr(rollup_chunk.first_ts, 1, 13) <= searched.bucket and substr(rollup_chunk.last_ts, 1, 13) >= searched.bucket
cross join call_part on call_part.id between rollup_chunk.first_id and rollup_chunk.last_id
where call_part.model = searched.model and substr(call_part.bucket, 1, 13) = searched.bucket
