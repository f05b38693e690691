/*
Where do price sources disagree about what a model costs now?

Grain: one row per model, provider, service tier, region, band and pair of sources that say different things.
Reads: price_history, price_revision.

model             text     As it stands in the ledger
provider          text     NULL: not recorded
service_tier      text     NULL: standard
region            text     NULL: any
above_tokens      integer  The band of inputs longer than this. NULL: the base price
source            text     The source whose price counts, or the first by name
input_usd_mtok    real     What it says, US dollars per million tokens. NULL: no such price
output_usd_mtok   real     US dollars per million tokens. NULL: no such price
other_source      text     The other
other_input       real     What that says, US dollars per million tokens. NULL: no such price
other_output      real     US dollars per million tokens. NULL: no such price
differs_in        text     Which prices differ
*/
with ranked as (
  select
    price_history.*,
    price_revision.priority,
    rank() over (
      partition by price_history.source, price_history.model, price_history.provider
      order by price_history.recorded_at desc
    ) as age
  from price_history
  join price_revision on price_revision.id = price_history.id
  where price_history.discount is null
),
said as (
  select * from ranked
  where age = 1
    and hours is null
    and coalesce(effective_from, '') <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    and coalesce(effective_to, '9999') > strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
),
pair as (
  select
    a.model,
    a.provider,
    a.service_tier,
    a.region,
    a.above_tokens,
    a.source,
    a.input_usd_mtok,
    a.output_usd_mtok,
    b.source as other_source,
    b.input_usd_mtok as other_input,
    b.output_usd_mtok as other_output,
    iif(a.input_usd_mtok is b.input_usd_mtok, '', 'input ')
      || iif(a.output_usd_mtok is b.output_usd_mtok, '', 'output ')
      || iif(coalesce(a.cache_read_usd_mtok, a.input_usd_mtok) is coalesce(b.cache_read_usd_mtok, b.input_usd_mtok), '', 'cache_read ')
      || iif(coalesce(a.cache_write_usd_mtok, a.input_usd_mtok) is coalesce(b.cache_write_usd_mtok, b.input_usd_mtok), '', 'cache_write ') as differs_in
  from said as a
  join said as b
    on b.model = a.model
    and b.provider is a.provider
    and b.service_tier is a.service_tier
    and b.region is a.region
    and b.above_tokens is a.above_tokens
    and (b.priority < a.priority or (b.priority = a.priority and b.source > a.source))
)
select
  model,
  provider,
  service_tier,
  region,
  above_tokens,
  source,
  input_usd_mtok,
  output_usd_mtok,
  other_source,
  cast(other_input as real) as other_input,
  cast(other_output as real) as other_output,
  cast(trim(differs_in) as text) as differs_in
from pair
where differs_in <> ''
