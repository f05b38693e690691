/*
What is compared with what? Calls, lines of bills and the providers' own counts, by the same names of provider and model.

A provider is who bills: aws for Bedrock, azure, google. A model is known by its name without case, dots and date, so that
gpt-4o-2024-08-06 is gpt-4o. Names that a bill makes up, such as Claude4.6Sonnet of Bedrock, stay apart.

Calls in the rollups are one row per day; per hour on the day that the provider's bills begin or end on, unless at midnight.

Grain: one row per row of usage_rollup or call that came later, charge line of kind llm that counts, and row of a usage report that counts.
Reads: rollup_cost, call_part, compacted, rollup_chunk, usage_loose, rate_key, billed_charge, provider_usage, delivery.
Sums to: call_cost, and the lines of kind llm of billed_charge, exactly.

entry          text     call, charge or usage
provider       text     Who bills, or (unattributed)
month          text     UTC month, YYYY-MM; of a longer period the month of its start
day            text     UTC day, YYYY-MM-DD; of a longer period its first
starts         text     When it was, ISO 8601 UTC; of several calls, not before
ends           text     Of the period, not included. NULL: calls
agent_id       text     Of calls. NULL: no call
model          text     As it is called there, or (not named)
model_key      text     What the same model has in common, or (not named)
category       text     Of a charge: usage, credit, … NULL: no charge
token_type     text     Of a charge. NULL: not said
tokens         integer  Input and output together. NULL: not said
cost_picos     integer  Pico-dollars (1e-12 USD), without cost_4096ths. NULL: not priced, not convertible, or only counted
decimals       integer  Of a charge: how many digits its amount has behind the point
cost_4096ths   integer  The first part of the cost: whole 4096ths of a dollar. NULL: as cost_picos, at times
calls          integer  Inferences. NULL: no call
inside         integer  1: in the time that the provider's bills for use cover, or there is no bill; 0: before or after it
*/
with named as (
  select distinct
    'key' as entry,
    nullif(provider, '') as provider,
    null as starts,
    null as ends,
    model,
    null as category,
    null as token_type,
    null as tokens,
    null as cost_picos,
    null as decimals
  from rate_key
  union all
  select
    'charge',
    provider,
    period_start,
    period_end,
    model,
    category,
    token_type,
    cast(round(cast(quantity as real) * case lower(replace(unit, ',', ''))
      when 'tokens' then 1
      when '1k tokens' then 1000
      when '1000_tokens' then 1000
      when '1000 tokens' then 1000
      when '1m tokens' then 1000000
      when '1000000 tokens' then 1000000
    end) as integer),
    cost_picos,
    iif(instr(cost, '.') > 0, length(cost) - instr(cost, '.'), 0)
  from billed_charge
  where kind = 'llm'
  union all
  select
    'usage',
    provider_usage.provider,
    provider_usage.period_start,
    provider_usage.period_end,
    provider_usage.model,
    null,
    null,
    provider_usage.prompt_tokens + provider_usage.completion_tokens,
    null,
    null
  from provider_usage
  join delivery on delivery.id = provider_usage.delivery_id
  where not exists (
    select 1 from delivery as later
    where later.bill = delivery.bill
      and later.billing_period = delivery.billing_period
      and later.content = delivery.content
      and later.id > delivery.id
  )
),
lowered as (
  select
    *,
    lower(trim(provider)) as who,
    replace(replace(replace(lower(trim(model)), '[1m]', ''), '.', '-'), ' ', '-') as name
  from named
),
folded as (
  select
    *,
    case
      when who like '%bedrock%' or who like 'amazon%' or who = 'aws' then 'aws'
      when who like '%vertex%' or who like 'gcp%' or who like 'google%' or who like 'gemini%' then 'google'
      when who like '%azure%' or who like 'az.ai%' then 'azure'
      when who in ('x-ai', 'x.ai', 'x_ai') then 'xai'
      else coalesce(who, '(unattributed)')
    end as biller,
    case
      when name glob '?*-20[0-9][0-9][0-1][0-9][0-3][0-9]' then substr(name, 1, length(name) - 9)
      when name glob '?*-20[0-9][0-9]-[0-1][0-9]-[0-3][0-9]' then substr(name, 1, length(name) - 11)
      else coalesce(name, '(not named)')
    end as model_key
  from lowered
),
billed_time as (
  select biller, min(starts) as begins, max(ends) as finishes
  from folded
  where entry = 'charge' and category = 'usage'
  group by 1
),
edge as (
  -- Where the calls of one day are partly inside and partly outside of the billed time.
  select biller, begins as moment from billed_time where substr(begins, 11) <> 'T00:00:00.000Z'
  union
  select biller, finishes from billed_time where substr(finishes, 11) <> 'T00:00:00.000Z'
),
divided_hour as (
  select biller, substr(moment, 1, 13) as hour from edge where substr(moment, 14) <> ':00:00.000Z'
),
called as (
  select 'day' as of, bucket, agent_id, provider, model, calls, prompt_tokens, completion_tokens, cost_4096ths, cost_picos
  from rollup_cost
  where grain = 'day' and (select ledger_row from compacted) > 0
  union all
  select 'hour', bucket, agent_id, provider, model, calls, prompt_tokens, completion_tokens, cost_4096ths, cost_picos
  from rollup_cost
  where grain = 'hour'
    and (select ledger_row from compacted) > 0
    and exists (select 1 from edge)
    and substr(bucket, 1, 10) in (select substr(moment, 1, 10) from edge)
  union all
  select 'part', bucket, agent_id, provider, model, 1, prompt_tokens, completion_tokens, 0, cost_picos
  from (select distinct hour from divided_hour) as divided
  cross join rollup_chunk on substr(rollup_chunk.first_ts, 1, 13) <= divided.hour and substr(rollup_chunk.last_ts, 1, 13) >= divided.hour
  cross join call_part on call_part.id between rollup_chunk.first_id and rollup_chunk.last_id
  where substr(call_part.bucket, 1, 13) = divided.hour
    and call_part.id <= (select ledger_row from compacted)
    and call_part.id not in (select id from usage_loose)
  union all
  select 'call', bucket, agent_id, provider, model, 1, prompt_tokens, completion_tokens, 0, cost_picos
  from call_part
  where id > (select ledger_row from compacted)
  union all
  select 'call', bucket, agent_id, provider, model, 1, prompt_tokens, completion_tokens, 0, cost_picos
  from call_part
  where id in (select id from usage_loose) and id <= (select ledger_row from compacted)
),
entries as (
  select
    'call' as entry,
    folded.biller,
    called.bucket || substr('0000-01-01T00:00:00.000Z', length(called.bucket) + 1) as starts,
    null as ends,
    called.agent_id,
    called.model,
    folded.model_key,
    null as category,
    null as token_type,
    coalesce(called.prompt_tokens, 0) + coalesce(called.completion_tokens, 0) as tokens,
    called.cost_picos,
    null as decimals,
    called.cost_4096ths,
    called.calls
  from called
  cross join folded on folded.entry = 'key' and folded.model = called.model and folded.provider is called.provider
  where case called.of
    when 'day' then (folded.biller, called.bucket) not in (select biller, substr(moment, 1, 10) from edge)
    when 'hour' then (folded.biller, substr(called.bucket, 1, 10)) in (select biller, substr(moment, 1, 10) from edge)
      and (folded.biller, called.bucket) not in (select biller, hour from divided_hour)
    when 'part' then (folded.biller, substr(called.bucket, 1, 13)) in (select biller, hour from divided_hour)
    else 1
  end
  union all
  select entry, biller, starts, ends, null, model, model_key, category, token_type, tokens, cost_picos, decimals, 0, null
  from folded
  where entry <> 'key'
)
select
  cast(entries.entry as text) as entry,
  cast(entries.biller as text) as provider,
  cast(substr(entries.starts, 1, 7) as text) as month,
  cast(substr(entries.starts, 1, 10) as text) as day,
  cast(entries.starts as text) as starts,
  cast(entries.ends as text) as ends,
  cast(entries.agent_id as text) as agent_id,
  cast(coalesce(entries.model, '(not named)') as text) as model,
  cast(entries.model_key as text) as model_key,
  cast(entries.category as text) as category,
  cast(entries.token_type as text) as token_type,
  cast(entries.tokens as integer) as tokens,
  cast(entries.cost_picos as integer) as cost_picos,
  cast(entries.decimals as integer) as decimals,
  cast(entries.cost_4096ths as integer) as cost_4096ths,
  cast(entries.calls as integer) as calls,
  cast(coalesce(entries.starts >= billed_time.begins and entries.starts < billed_time.finishes, 1) as integer) as inside
from entries
left join billed_time using (biller)
