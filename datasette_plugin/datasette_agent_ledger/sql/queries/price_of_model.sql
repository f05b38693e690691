/*
What did a model cost, when, and who says so?

model may have % for any text.

Reads: price_history.
*/
select
  model, provider, service_tier, region, effective_from, effective_to, above_tokens, input_usd_mtok, output_usd_mtok, source, recorded_at
from price_history
where model like :model
order by model, effective_from, recorded_at
