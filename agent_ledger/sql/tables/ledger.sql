create table ledger (
  -- One row per model inference. Rows are never changed or removed: a correction is another row. A row that says the
  -- same as one that is already there is ignored; one that says something else about the same inference is kept, and
  -- `superseded_call` says which of the two does not count.
  id integer primary key,  -- in the order of recording
  ts text not null  -- when the call was made: ISO 8601 UTC, milliseconds, Z
    check (
      ts is strftime('%Y-%m-%dT%H:%M:%fZ', ts)
      and (
        substr(ts, 9, 2) < '29' and substr(ts, 12, 2) < '24'
        or ts is strftime('%Y-%m-%dT%H:%M:%fZ', ts, '+0 days')  -- no 30 February, no 24 o'clock
      )
    ),
  agent_id text not null check (trim(agent_id) <> ''),
  request_id text not null  -- the runtime's id; audit rows join on it
    check (trim(request_id) <> ''),
  prompt_tokens integer  -- all input, cache reads and writes included; NULL: the provider did not say
    check (prompt_tokens between 0 and 1000000000),
  completion_tokens integer  -- all output, reasoning included; NULL: the provider did not say
    check (completion_tokens between 0 and 1000000000),
  model text not null  -- as the provider names the model that answered
    check (trim(model) <> ''),
  provider text check (trim(provider) <> ''),  -- anthropic, openai, google, aws, …; NULL: not recorded
  customer_id text check (trim(customer_id) <> ''),  -- on whose behalf; NULL: nobody's
  session_id text check (trim(session_id) <> ''),
  feature text check (trim(feature) <> ''),  -- NULL: the agent's feature at that time, see agent_assignment
  cache_read_tokens integer check (cache_read_tokens >= 0),  -- part of prompt_tokens; NULL: not said
  cache_write_tokens integer check (cache_write_tokens >= 0),  -- part of prompt_tokens, those for 1 hour included
  cache_write_1h_tokens integer  -- part of cache_write_tokens
    check (cache_write_1h_tokens >= 0),
  reasoning_tokens integer check (reasoning_tokens >= 0),  -- part of completion_tokens
  web_search_requests integer check (web_search_requests between 0 and 100000),  -- billed per request
  service_tier text check (trim(service_tier) <> ''),  -- as served: batch, flex, priority, fast, …; NULL: standard
  region text check (trim(region) <> ''),  -- where a price depends on it: Anthropic's inference_geo, …
  response_id text check (trim(response_id) <> ''),  -- the provider's message id (msg_…, chatcmpl-…, resp_…)
  part integer not null default 0 check (part >= 0),  -- which inference of a response that holds several
  tier_tokens integer  -- what selects the long-context tier; NULL: prompt_tokens does
    check (tier_tokens between 0 and 1000000000),
  evidence text not null default 'manual'  -- how the counts came here
    check (evidence in ('response', 'stream', 'partial', 'log', 'span', 'header', 'manual')),
  reported_cost_usd real check (reported_cost_usd between 0 and 1000000),  -- what the provider says it charged
  anomaly text check (trim(anomaly) <> ''),  -- what does not add up in the provider's counts; NULL: they add up
  usage text  -- other billed units, a JSON object such as {"input_audio_tokens": 12}
    check (usage is null or json_type(usage) = 'object'),
  check (coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0) <= coalesce(prompt_tokens, 0)),
  check (coalesce(cache_write_1h_tokens, 0) <= coalesce(cache_write_tokens, 0)),
  check (coalesce(reasoning_tokens, 0) <= coalesce(completion_tokens, 0))
) strict;

create index ledger_request_id on ledger (request_id);
-- The last characters tell responses apart, and take half the space: ask for them and for the whole. The whole needs a
-- plus before it where it is compared with a value: SQLite would put the value into the other condition too.
create index ledger_response_id on ledger (substr(response_id, -8)) where response_id is not null;

create trigger ledger_no_update before update on ledger begin
  select raise(abort, 'ledger rows are never changed: record a correction as another row');
end;

-- Only rows whose archive is proven leave, see archiving.py.
create trigger ledger_no_delete before delete on ledger
when not exists (select 1 from archive where source = 'ledger' and moving = 1 and old.id between first_id and last_id) begin
  select raise(abort, 'ledger rows are never removed: record a correction as another row');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger ledger_no_replace before insert on ledger when exists (select 1 from ledger where id = new.id) begin
  select raise(abort, 'ledger rows are never changed: record a correction as another row');
end;

-- Among rows that are summed already, a new one would be in no sum; among shipped ones it would not be shipped.
create trigger ledger_ids_rise before insert on ledger
when new.id > 0 and new.id <= (
  select max(ledger_row, coalesce((select max(sending) from ship_cursor where source = 'ledger'), 0)) from rollup_state
) begin
  select raise(abort, 'ledger.id rises: leave it out, and the row gets the next one');
end;

-- Whether a row of that time is archived already, only the library can tell: see archive_identity.py.
create trigger ledger_not_archived before insert on ledger
when new.ts < (select max(until) from archive where source = 'ledger')
  and not exists (select 1 from ledger_meta where key = 'archive_was_read')
begin
  select raise(abort, 'rows of that time are archived: import the record with agent-ledger, which knows whether it is among them');
end;

-- The same row again: nothing to do, unless its time is the better one (see call_rank).
create trigger ledger_same_row before insert on ledger
when exists (select 1 from ledger where request_id = new.request_id) begin
  select raise(ignore) from ledger
  where request_id = new.request_id
    and part = new.part
    and iif(new.evidence = 'log', ts >= new.ts, ts <= new.ts)
    and response_id is new.response_id
    and agent_id = new.agent_id
    and model = new.model
    and prompt_tokens is new.prompt_tokens
    and completion_tokens is new.completion_tokens
    and provider is new.provider
    and customer_id is new.customer_id
    and session_id is new.session_id
    and feature is new.feature
    and cache_read_tokens is new.cache_read_tokens
    and cache_write_tokens is new.cache_write_tokens
    and cache_write_1h_tokens is new.cache_write_1h_tokens
    and reasoning_tokens is new.reasoning_tokens
    and web_search_requests is new.web_search_requests
    and service_tier is new.service_tier
    and region is new.region
    and tier_tokens is new.tier_tokens
    and evidence = new.evidence
    and reported_cost_usd is new.reported_cost_usd
    and anomaly is new.anomaly
    and usage is new.usage;
end;

-- Another account of the same inference: of the same request and, as far as both say, the same response; or of the same
-- response under whatever request id. (A short response id may be a counter that starts again: it proves nothing. And two
-- answers that an SDK got under two request ids are two calls, whatever id a server gave them.)
-- `call_rank` says which of the two counts, whatever order they came in.
create trigger ledger_same_inference after insert on ledger
when exists (select 1 from ledger where request_id = new.request_id and id <> new.id)
  or exists (
    select 1 from ledger
    where substr(response_id, -8) = substr(new.response_id, -8)
      and +response_id = new.response_id
      and response_id is not null
      and id <> new.id
  )
begin
  insert into superseded_call (id, by_id, reason)
  select
    iif(theirs.rank < ours.rank, theirs.id, ours.id),
    iif(theirs.rank < ours.rank, ours.id, theirs.id),
    case
      when theirs.content = ours.content
        and coalesce(theirs.customer_id, ours.customer_id, '') = coalesce(ours.customer_id, theirs.customer_id, '')
        then 'duplicate'
      when iif(theirs.rank < ours.rank, theirs.evidence, ours.evidence) in ('partial', 'log', 'span')
        and (theirs.agent_id = ours.agent_id or '(unattributed)' in (theirs.agent_id, ours.agent_id))
        then 'revised'
      else 'conflict'
    end
  from call_rank as ours
  join call_rank as theirs on theirs.part = ours.part and theirs.id <> ours.id
  where ours.id = new.id
    and theirs.id in (
      select id from ledger
      where request_id = new.request_id
        and (response_id = new.response_id or response_id is null or new.response_id is null)
      union
      select id from ledger
      where substr(response_id, -8) = substr(new.response_id, -8)
        and +response_id = new.response_id
        and response_id is not null
        and length(new.response_id) >= 20
        and not (
          evidence in ('response', 'stream')
          and new.evidence in ('response', 'stream')
          and response_id not in (request_id, new.request_id)
        )
    )
    and (theirs.rank > ours.rank or theirs.id not in (select id from superseded_call))
  order by theirs.id
  on conflict (id) do nothing;
end;

-- Tool calls that were summed before the call that asked for them was here belong elsewhere now, see tool_attribution.
create trigger ledger_moves_tool_calls before insert on ledger
when exists (
  select 1 from audit where request_id = new.request_id and id <= (select audit_reach from rollup_state)
) begin
  insert into tool_loose (id)
  select id from audit
  where request_id = new.request_id
    and id <= (select audit_reach from rollup_state)
    and id not in (select id from tool_loose)
    and not exists (
      select 1 from ledger
      where request_id = new.request_id
        and not exists (select 1 from superseded_call where superseded_call.id = ledger.id)
    );
end;

-- A model, provider, tier or region not seen before: the library resolves its price, see rate_key.
create trigger ledger_new_key after insert on ledger
when not exists (
  select 1 from rate_key
  where model = new.model
    and provider = coalesce(new.provider, '')
    and service_tier = coalesce(new.service_tier, '')
    and region = coalesce(new.region, '')
) begin
  insert into rate_key (model, provider, service_tier, region)
  values (new.model, coalesce(new.provider, ''), coalesce(new.service_tier, ''), coalesce(new.region, ''));
end;
