/*
What did this {axis} spend on LLM calls, in the period and before?

Reads: usage_cost.
Shows: cost_by_{axis}.
*/
with part as (
  select bucket >= :since as is_now, *
  from usage_cost
  where grain in (:grain, 'call') and bucket >= :before and bucket < :until and {key} = :key
)
select
  sum(iif(is_now, cost_4096ths + cost_picos / 244140625, null)) / 4096.0 + sum(iif(is_now, cost_picos % 244140625, null)) / 1e12
    as cost_usd,
  sum(iif(is_now, null, cost_4096ths + cost_picos / 244140625)) / 4096.0 + sum(iif(is_now, null, cost_picos % 244140625)) / 1e12
    as before_usd,
  coalesce(sum(iif(is_now, calls, 0)), 0) as calls,
  sum(iif(is_now, prompt_tokens, null)) as prompt_tokens,
  sum(iif(is_now, completion_tokens, null)) as completion_tokens,
  coalesce(sum(iif(is_now and cost_picos is null, calls, 0)), 0) as unpriced_calls
from part
