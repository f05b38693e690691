/*
What does each model cost now?

US dollars per million tokens, at the standard tier and for short inputs.

Reads: price.
*/
select
  model,
  provider,
  input_price * 1e6 as input_usd_mtok,
  cache_read_price * 1e6 as cache_read_usd_mtok,
  cache_write_price * 1e6 as cache_write_usd_mtok,
  output_price * 1e6 as output_usd_mtok,
  price_source,
  valid_from
from price
order by model, provider
