/*
Where several ledger rows tell of the same inference, which one counts? The one with the highest rank.

An account that names the provider's response beats one that does not; then the better evidence wins, then the span that
tells more of the cache (tracers leave parts out), the later line of a log (its counts are cumulative) or the earlier of
other records, then the larger count. The rank does not depend
on the order of recording, so importing files in another order gives the same figures.

Grain: one row per ledger row.
Reads: ledger.

id           integer  ledger.id
request_id   text     ledger.request_id
part         integer  ledger.part
response_id  text     ledger.response_id. NULL: not recorded
agent_id     text     ledger.agent_id
customer_id  text     ledger.customer_id. NULL: nobody's
evidence     text     ledger.evidence
content      text     What determines the cost, as one text: equal means that two rows say the same
rank         text     Compares as text: higher counts
*/
select
  id,
  request_id,
  part,
  response_id,
  agent_id,
  customer_id,
  evidence,
  cast(json_array(
    agent_id, model, prompt_tokens, completion_tokens, coalesce(cache_read_tokens, 0), coalesce(cache_write_tokens, 0),
    coalesce(cache_write_1h_tokens, 0), coalesce(web_search_requests, 0), coalesce(service_tier, 'standard')
  ) as text) as content,
  cast(printf(
    '%d %d %d %010d %s %010d %s',
    response_id is not null,
    case evidence when 'partial' then 0 when 'span' then 1 when 'log' then 2 when 'header' then 3 when 'manual' then 3 else 4 end,
    iif(evidence = 'span', cache_write_1h_tokens is not null, 0),
    iif(evidence = 'span', coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0), 0),
    iif(evidence = 'log', printf('%018d', strftime('%s', ts) * 1000 + substr(ts, 21, 3)), printf('%018d', 300000000000000 - strftime('%s', ts) * 1000 - substr(ts, 21, 3))),
    coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0),
    json_array(
      agent_id, model, customer_id, feature, session_id, provider, prompt_tokens, cache_read_tokens, cache_write_tokens,
      cache_write_1h_tokens, reasoning_tokens, web_search_requests, service_tier, region, response_id, tier_tokens,
      reported_cost_usd, anomaly, usage, request_id
    )
  ) as text) as rank
from ledger
