/*
What does each model cost now, at the standard tier and for short inputs?

Where several providers serve the same model, the price is that of the one seen first in the ledger, so that joining on
the model alone counts each call once. For what calls really cost, see call_cost: this view knows no history.

Grain: one row per model that has a price in force now.
Reads: rate.

model                 text  As it stands in the ledger
provider              text  Whose price it is. NULL: the ledger does not name the provider
input_price           real  US dollars per token of uncached input. NULL: no price known
output_price          real  US dollars per token of output
cache_read_price      real  US dollars per token read from the cache
cache_write_price     real  US dollars per token written to the cache (5 minutes)
cache_write_1h_price  real  US dollars per token written to the cache for an hour
web_search_price      real  US dollars per web search. NULL: no price known
price_source          text  Who says so
valid_from            text  Since when, ISO 8601 UTC
*/
with now as (
  select strftime('%Y-%m-%dT%H:%M:%fZ', 'now') as ts
),
current as (
  select
    rate.*,
    row_number() over (
      partition by rate.model
      order by iif(rate.service_tier = '', 0, 1), iif(rate.region = '', 0, 1), iif(rate.provider = '', 1, 0), rate.price_id
    ) as choice
  from rate, now
  where now.ts >= rate.valid_from
    and now.ts < rate.valid_to
    and substr(now.ts, 12, 5) >= rate.time_from
    and substr(now.ts, 12, 5) < rate.time_to
    and rate.min_tokens = 0
    and rate.service_tier in ('', 'standard', 'default', 'auto', 'on_demand', 'on-demand')
)
select
  model,
  cast(nullif(provider, '') as text) as provider,
  cast(input / 1e12 as real) as input_price,
  cast(output / 1e12 as real) as output_price,
  cast(cache_read / 1e12 as real) as cache_read_price,
  cast(cache_write / 1e12 as real) as cache_write_price,
  cast(cache_write_1h / 1e12 as real) as cache_write_1h_price,
  cast(web_search / 1e12 as real) as web_search_price,
  price_source,
  valid_from
from current
where choice = 1
