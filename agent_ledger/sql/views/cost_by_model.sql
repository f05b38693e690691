/*
Which model was the money spent on? LLM calls only.

Grain: one row per model.
Reads: usage_cost.
Sums to: call_cost, exactly; every axis has the same total.

model               text     The model that answered
calls               integer  Inferences
prompt_tokens       integer  All input tokens, cached ones included. NULL: not known for any call
cache_read_tokens   integer  Part of prompt_tokens
cache_write_tokens  integer  Part of prompt_tokens
completion_tokens   integer  All output tokens, reasoning included. NULL: not known for any call
cost_usd            real     US dollars, without the unpriced calls. NULL: all are unpriced
unpriced_calls      integer  Calls whose cost is not known, so not in cost_usd
*/
with summed as (
  select
    model,
    sum(calls) as calls,
    sum(prompt_tokens) as prompt_tokens,
    sum(cache_read_tokens) as cache_read_tokens,
    sum(cache_write_tokens) as cache_write_tokens,
    sum(completion_tokens) as completion_tokens,
    sum(cost_4096ths + cost_picos / 244140625) as whole,
    sum(cost_picos % 244140625) as rest,
    sum(iif(cost_picos is null, calls, 0)) as unpriced_calls
  from usage_cost
  where grain in ('month', 'call')
  group by 1
)
select
  model,
  cast(calls as integer) as calls,
  cast(prompt_tokens as integer) as prompt_tokens,
  cast(cache_read_tokens as integer) as cache_read_tokens,
  cast(cache_write_tokens as integer) as cache_write_tokens,
  cast(completion_tokens as integer) as completion_tokens,
  -- The nearest double, see daily_cost.
  cast(iif(
    abs(whole + rest / 244140625) < 36893488,
    (whole * 244140625 + rest) / 1e12,
    (whole + rest / 244140625) / 4096.0 + rest % 244140625 / 1e12
  ) as real) as cost_usd,
  cast(unpriced_calls as integer) as unpriced_calls
from summed
