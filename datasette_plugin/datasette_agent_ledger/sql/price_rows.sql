/*
Who said what about prices, and when?

All rows that were recorded; the newest first. Nothing is ever overwritten.

Reads: price_history.
*/
select
  model, provider, service_tier, region, effective_from, effective_to, hours, above_tokens, input_usd_mtok, cache_read_usd_mtok,
  cache_write_usd_mtok, output_usd_mtok, discount, source, basis, recorded_at
from price_history
order by id desc
limit 200
