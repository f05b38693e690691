create table audit (
  -- One row per tool call, joined to the ledger by request_id. Rows are never changed or removed. Arguments and results
  -- are not kept, only their sizes and digests. The same row again is ignored; another account of the same tool_call_id
  -- is kept, and `superseded_tool_call` says which one does not count.
  id integer primary key,  -- in the order of recording
  ts text not null  -- when the call was made: ISO 8601 UTC, milliseconds, Z
    check (
      ts is strftime('%Y-%m-%dT%H:%M:%fZ', ts)
      and (
        substr(ts, 9, 2) < '29' and substr(ts, 12, 2) < '24'
        or ts is strftime('%Y-%m-%dT%H:%M:%fZ', ts, '+0 days')  -- no 30 February, no 24 o'clock
      )
    ),
  request_id text check (trim(request_id) <> ''),  -- the LLM call that asked for it; NULL: not known
  tool_call_id text not null check (trim(tool_call_id) <> ''),
  tool text not null check (trim(tool) <> ''),
  server text check (trim(server) <> ''),  -- the MCP server, or who else offers the tool; NULL: not recorded
  agent_id text check (trim(agent_id) <> ''),  -- NULL: the agent of the LLM call
  resource_id text check (trim(resource_id) <> ''),  -- what it touched, as the cloud bill names it; NULL: nothing billable
  operation text check (trim(operation) <> ''),
  units real check (units between 0 and 1e18),  -- how much, in `unit`
  unit text check (trim(unit) <> ''),
  cost_usd real check (cost_usd between 0 and 1e9),  -- what the tool says it cost; NULL: it does not say
  duration_ms integer check (duration_ms between 0 and 1000000000),
  status text check (trim(status) <> ''),  -- ok or error; NULL: not known
  error_type text check (trim(error_type) <> ''),  -- tool_error, unknown_tool, invalid_params or an exception; NULL: none
  arguments_bytes integer  -- as JSON without spaces, in UTF-8; NULL: not measured
    check (arguments_bytes between 0 and 1000000000000000),
  arguments_digest text check (trim(arguments_digest) <> ''),  -- SHA-256 (hex) of canonical JSON
  result_bytes integer  -- like arguments_bytes; of a result that is bytes, its own
    check (result_bytes between 0 and 1000000000000000),
  result_digest text check (trim(result_digest) <> '')
) strict;

create index audit_request_id on audit (request_id);
create index audit_tool_call_id on audit (tool_call_id);

create trigger audit_no_update before update on audit begin
  select raise(abort, 'audit rows are never changed: record a correction as another row');
end;

-- Only rows whose archive is proven leave, see archiving.py.
create trigger audit_no_delete before delete on audit
when not exists (select 1 from archive where source = 'audit' and moving = 1 and old.id between first_id and last_id) begin
  select raise(abort, 'audit rows are never removed: record a correction as another row');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger audit_no_replace before insert on audit when exists (select 1 from audit where id = new.id) begin
  select raise(abort, 'audit rows are never changed: record a correction as another row');
end;

-- Among rows that are summed already, a new one would be in no sum; among shipped ones it would not be shipped.
create trigger audit_ids_rise before insert on audit
when new.id > 0 and new.id <= (
  select max(audit_row, coalesce((select max(sending) from ship_cursor where source = 'audit'), 0)) from rollup_state
) begin
  select raise(abort, 'audit.id rises: leave it out, and the row gets the next one');
end;

-- Whether a row of that time is archived already, only the library can tell: see archive_identity.py.
create trigger audit_not_archived before insert on audit
when new.ts < (select max(until) from archive where source = 'audit')
  and not exists (select 1 from ledger_meta where key = 'archive_was_read')
begin
  select raise(abort, 'rows of that time are archived: import the record with agent-ledger, which knows whether it is among them');
end;

create trigger audit_same_row before insert on audit
when exists (select 1 from audit where tool_call_id = new.tool_call_id) begin
  select raise(ignore) from audit
  where tool_call_id = new.tool_call_id
    and request_id is new.request_id
    and tool = new.tool
    and server is new.server
    and agent_id is new.agent_id
    and resource_id is new.resource_id
    and operation is new.operation
    and units is new.units
    and unit is new.unit
    and cost_usd is new.cost_usd
    and duration_ms is new.duration_ms
    and status is new.status
    and error_type is new.error_type
    and arguments_bytes is new.arguments_bytes
    and arguments_digest is new.arguments_digest
    and result_bytes is new.result_bytes
    and result_digest is new.result_digest;
end;

-- Another account of the same tool call, and as far as both say of the same request: the one that knows more counts,
-- whatever order they came in. (Some providers' ids are counters that start again with each request.)
create trigger audit_same_tool_call after insert on audit
when exists (
  select 1 from audit
  where tool_call_id = new.tool_call_id
    and (request_id = new.request_id or request_id is null or new.request_id is null)
    and id <> new.id
)
begin
  insert into superseded_tool_call (id, by_id, reason)
  select
    iif(theirs.rank < ours.rank, theirs.id, ours.id),
    iif(theirs.rank < ours.rank, ours.id, theirs.id),
    iif(
      theirs.tool = ours.tool
        and coalesce(theirs.resource_id = ours.resource_id, true)  -- one that does not say contradicts nobody
        and coalesce(theirs.agent_id = ours.agent_id, true),
      'revised',
      'conflict'
    )
  from tool_call_rank as ours
  join tool_call_rank as theirs
    on theirs.tool_call_id = ours.tool_call_id
    and (theirs.request_id = ours.request_id or theirs.request_id is null or ours.request_id is null)
    and theirs.id <> ours.id
  where ours.id = new.id
    and theirs.id not in (select id from superseded_tool_call)
  order by theirs.id
  on conflict (id) do nothing;
end;
