/*
Where several audit rows tell of the same tool call, which one counts? The one with the highest rank.

An account that knows which LLM call asked beats one that does not; then one that knows how the call ended; then the one
that knows more wins, then the earlier. An error type that is only "exception" comes from a server that does not say
which one: it is not counted as known. The rank does not depend on the order of recording.

Grain: one row per audit row.
Reads: audit.

id            integer  audit.id
request_id    text     audit.request_id. NULL: not known
tool_call_id  text     audit.tool_call_id
tool          text     audit.tool
resource_id   text     audit.resource_id. NULL: nothing billable
agent_id      text     audit.agent_id. NULL: the agent of the LLM call
rank          text     Compares as text: higher counts
*/
select
  id,
  request_id,
  tool_call_id,
  tool,
  resource_id,
  agent_id,
  cast(printf(
    '%d %d %d %018d %s',
    request_id is not null,
    status is not null,
    (cost_usd is not null) + (units is not null) + (resource_id is not null) + (duration_ms is not null) + (agent_id is not null)
      + (arguments_digest is not null) + coalesce(error_type <> 'exception', 0),
    300000000000000 - strftime('%s', ts) * 1000 - substr(ts, 21, 3),
    json_array(tool, server, agent_id, resource_id, operation, units, unit, cost_usd, duration_ms, status, arguments_digest,
      error_type, arguments_bytes, result_bytes, result_digest)
  ) as text) as rank
from audit
