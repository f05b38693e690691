/*
What is compared with what? Calls, lines of bills and the providers' own counts, by the same names of provider and model.

A provider is who bills: aws for Bedrock, azure, google. A model is known by its name without case, dots and date, so that
gpt-4o-2024-08-06 is gpt-4o. Names that a bill makes up, such as Claude4.6Sonnet of Bedrock, stay apart.

Grain: one row per call, charge line of kind llm that counts, and row of a usage report that counts.
Reads: call_cost, billed_charge, provider_usage, delivery.

entry          text     call, charge or usage
provider       text     Who bills, or (unattributed)
month          text     UTC month, YYYY-MM; of a longer period the month of its start
day            text     UTC day, YYYY-MM-DD; of a longer period its first
starts         text     When it was, ISO 8601 UTC
ends           text     Of the period, not included. NULL: a call
agent_id       text     Of a call. NULL: no call
model          text     As it is called there, or (not named)
model_key      text     What the same model has in common, or (not named)
category       text     Of a charge: usage, credit, … NULL: no charge
token_type     text     Of a charge. NULL: not said
tokens         integer  Input and output together. NULL: not said
cost_picos     integer  Pico-dollars (1e-12 USD). NULL: not priced, not convertible, or only counted
decimals       integer  Of a charge: how many digits its amount has behind the point
*/
with named as (
  select
    'call' as entry,
    provider,
    ts as starts,
    null as ends,
    agent_id,
    model,
    null as category,
    null as token_type,
    coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0) as tokens,
    cost_picos,
    null as decimals
  from call_cost
  union all
  select
    'charge',
    provider,
    period_start,
    period_end,
    null,
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
    null,
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
folded as (
  select
    *,
    lower(trim(provider)) as who,
    replace(replace(replace(lower(trim(model)), '[1m]', ''), '.', '-'), ' ', '-') as name
  from named
)
select
  cast(entry as text) as entry,
  cast(case
    when who like '%bedrock%' or who like 'amazon%' or who = 'aws' then 'aws'
    when who like '%vertex%' or who like 'gcp%' or who like 'google%' or who like 'gemini%' then 'google'
    when who like '%azure%' or who like 'az.ai%' then 'azure'
    when who in ('x-ai', 'x.ai', 'x_ai') then 'xai'
    else coalesce(who, '(unattributed)')
  end as text) as provider,
  cast(substr(starts, 1, 7) as text) as month,
  cast(substr(starts, 1, 10) as text) as day,
  cast(starts as text) as starts,
  cast(ends as text) as ends,
  cast(agent_id as text) as agent_id,
  cast(coalesce(model, '(not named)') as text) as model,
  cast(case
    when name glob '?*-20[0-9][0-9][0-1][0-9][0-3][0-9]' then substr(name, 1, length(name) - 9)
    when name glob '?*-20[0-9][0-9]-[0-1][0-9]-[0-3][0-9]' then substr(name, 1, length(name) - 11)
    else coalesce(name, '(not named)')
  end as text) as model_key,
  cast(category as text) as category,
  cast(token_type as text) as token_type,
  cast(tokens as integer) as tokens,
  cast(cost_picos as integer) as cost_picos,
  cast(decimals as integer) as decimals
from folded
