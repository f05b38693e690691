/*
What did each inference use? Every cost view reads calls from here and from nowhere else.

Grain: one row per inference that counts: ledger rows without those in superseded_call.
Reads: ledger, superseded_call.

id                     integer  ledger.id
ts                     text     When the call was made, ISO 8601 UTC
agent_id               text     Who made it
request_id             text     The runtime's id of the request
prompt_tokens          integer  All input tokens, cached ones included. NULL: the provider did not say
completion_tokens      integer  All output tokens, reasoning included. NULL: the provider did not say
model                  text     The model that answered
provider               text     Who runs the model. NULL: not recorded
customer_id            text     On whose behalf. NULL: nobody's
session_id             text     NULL: not recorded
feature                text     As stamped on the call. NULL: not stamped
cache_read_tokens      integer  Part of prompt_tokens. NULL: not said
cache_write_tokens     integer  Part of prompt_tokens, those for one hour included. NULL: not said
cache_write_1h_tokens  integer  Part of cache_write_tokens. NULL: not said
reasoning_tokens       integer  Part of completion_tokens. NULL: not said
web_search_requests    integer  NULL: none
service_tier           text     NULL: standard
region                 text     NULL: not recorded
response_id            text     The provider's id of the response. NULL: not recorded
part                   integer  Which inference of the response, from 0
tier_tokens            integer  Input tokens that select the long-context tier
evidence               text     response, stream, partial, log, span, header or manual
reported_cost_usd      real     US dollars, as the provider says. NULL: it does not say
anomaly                text     What does not add up in the provider's counts. NULL: they add up
usage                  text     Other billed units, a JSON object. NULL: none
*/
select
  id,
  ts,
  agent_id,
  request_id,
  prompt_tokens,
  completion_tokens,
  model,
  provider,
  customer_id,
  session_id,
  feature,
  cache_read_tokens,
  cache_write_tokens,
  cache_write_1h_tokens,
  reasoning_tokens,
  web_search_requests,
  service_tier,
  region,
  response_id,
  part,
  cast(coalesce(tier_tokens, prompt_tokens, 0) as integer) as tier_tokens,
  evidence,
  reported_cost_usd,
  anomaly,
  usage
from ledger
where not exists (select 1 from superseded_call where superseded_call.id = ledger.id)
