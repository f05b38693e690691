create table provider_usage (
  -- What a provider says was used: tokens per bucket of time, from its usage report. Never added to any cost; the ledger
  -- is reconciled with it. Rows are never changed or removed.
  id integer primary key,
  delivery_id integer not null references delivery (id),
  usage_id text not null check (usage_id <> ''),  -- unique in its delivery
  period_start text not null
    check (period_start is strftime('%Y-%m-%dT%H:%M:%fZ', period_start, '+0 days')),
  period_end text not null  -- not included
    check (period_end is strftime('%Y-%m-%dT%H:%M:%fZ', period_end, '+0 days')),
  provider text not null check (provider <> ''),
  model text,  -- NULL: the report is not grouped by model
  service_tier text,
  account text,  -- workspace, project or API key, as far as the report is grouped by it
  requests integer check (requests >= 0),  -- NULL: the report does not count them
  prompt_tokens integer check (prompt_tokens >= 0),  -- all input, cache reads and writes included
  completion_tokens integer check (completion_tokens >= 0),
  cache_read_tokens integer check (cache_read_tokens >= 0),  -- part of prompt_tokens
  cache_write_tokens integer check (cache_write_tokens >= 0),  -- part of prompt_tokens, those for 1 hour included
  cache_write_1h_tokens integer check (cache_write_1h_tokens >= 0),
  web_search_requests integer check (web_search_requests >= 0),
  unique (delivery_id, usage_id),
  check (period_start < period_end)
) strict;

create trigger provider_usage_no_update before update on provider_usage begin
  select raise(abort, 'usage reports are never changed: import the corrected report');
end;

create trigger provider_usage_no_delete before delete on provider_usage begin
  select raise(abort, 'usage reports are never removed: import the corrected report');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger provider_usage_no_replace before insert on provider_usage when exists (select 1 from provider_usage where id = new.id) begin
  select raise(abort, 'usage reports are never changed: import the corrected report');
end;
