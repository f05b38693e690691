/*
What did each price source say, about which time, and when was it recorded here?

Grain: one row per price_revision.
Reads: price_revision.

id                      integer  price_revision.id
model                   text     As it stands in the ledger; contract prices may use * and ?
provider                text     NULL: any
service_tier            text     NULL: standard
region                  text     NULL: any
effective_from          text     Holds from this moment, ISO 8601 UTC. NULL: since ever
effective_to            text     Up to, not including. NULL: open
hours                   text     The part of each day, UTC. NULL: all day
above_tokens            integer  The band of inputs longer than this. NULL: the base price
input_usd_mtok          real     US dollars per million tokens. NULL: no separate price
cache_read_usd_mtok     real     US dollars per million tokens. NULL: as input
cache_write_usd_mtok    real     US dollars per million tokens. NULL: as input
cache_write_1h_usd_mtok real     US dollars per million tokens. NULL: as cache_write
output_usd_mtok         real     US dollars per million tokens. NULL: no price
web_search_usd          real     US dollars per search. NULL: no price
request_usd             real     US dollars per call. NULL: none
discount                text     Instead of prices: the share taken off the list price. NULL: none
source                  text     Who says so
source_model            text     What the source calls the model
basis                   text     How the row came about
recorded_at             text     When it was recorded here, ISO 8601 UTC
*/
select
  id,
  model,
  provider,
  service_tier,
  region,
  effective_from,
  effective_to,
  cast(time_from || '-' || time_to as text) as hours,
  cast(iif(comparator = 'ge', above_tokens - 1, above_tokens) as integer) as above_tokens,
  cast(input / 1e6 as real) as input_usd_mtok,
  cast(cache_read / 1e6 as real) as cache_read_usd_mtok,
  cast(cache_write / 1e6 as real) as cache_write_usd_mtok,
  cast(cache_write_1h / 1e6 as real) as cache_write_1h_usd_mtok,
  cast(output / 1e6 as real) as output_usd_mtok,
  cast(web_search / 1e12 as real) as web_search_usd,
  cast(request / 1e12 as real) as request_usd,
  discount,
  source,
  source_model,
  basis,
  recorded_at
from price_revision
