/*
What was spent at which price?

Each price row that calls were priced with, and their cost: where a model has several, the price changed.

Reads: usage_cost, price_history.
Shows: cost_by_model.
*/
with summed as (
  select
    model,
    provider,
    price_id,
    sum(calls) as calls,
    min(first_ts) as first_ts,
    max(last_ts) as last_ts,
    sum(cost_4096ths + cost_picos / 244140625) / 4096.0 + sum(cost_picos % 244140625) / 1e12 as cost_usd
  from usage_cost
  where grain in ('month', 'call') and price_id is not null
  group by 1, 2, 3
)
select
  summed.model,
  summed.provider,
  price_history.service_tier,
  price_history.above_tokens,
  price_history.effective_from,
  price_history.effective_to,
  price_history.input_usd_mtok,
  price_history.output_usd_mtok,
  price_history.source,
  summed.calls,
  summed.cost_usd,
  summed.first_ts,
  summed.last_ts
from summed
join price_history on price_history.id = summed.price_id
order by summed.model, summed.provider, price_history.effective_from, price_history.above_tokens
