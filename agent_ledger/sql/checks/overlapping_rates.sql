/* Would a call meet two prices at once? Then its cost counts twice. */
select
  one.model || ' of ' || iif(one.provider = '', 'no provider', one.provider) as subject,
  'two prices hold at ' || max(one.valid_from, other.valid_from) || ': run agent-ledger prices LEDGER sync' as problem
from rate as one
join rate as other
  on other.model = one.model
  and other.provider = one.provider
  and other.service_tier = one.service_tier
  and other.region = one.region
  and (other.valid_from, other.time_from, other.min_tokens) > (one.valid_from, one.time_from, one.min_tokens)
where one.valid_from < other.valid_to and other.valid_from < one.valid_to
  and one.time_from < other.time_to and other.time_from < one.time_to
  and one.min_tokens < other.max_tokens and other.min_tokens < one.max_tokens
