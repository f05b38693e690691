create table superseded_call (
  -- Ledger rows that do not count, because another row tells of the same inference. Written by triggers of `ledger`.
  id integer primary key references ledger (id),
  by_id integer not null references ledger (id),  -- the row that counts instead
  reason text not null  -- duplicate: says the same; revised: a fuller account; conflict: they contradict each other
    check (reason in ('duplicate', 'revised', 'conflict'))
) strict;

create index superseded_call_by_id on superseded_call (by_id);  -- else each row that leaves ledger would cost a look at all of these

create trigger superseded_call_no_update before update on superseded_call begin
  select raise(abort, 'which account counts is never changed by hand: record a better one');
end;

create trigger superseded_call_no_delete before delete on superseded_call
when not exists (select 1 from archive where source = 'ledger' and moving = 1 and old.id between first_id and last_id) begin
  select raise(abort, 'which account counts is never changed by hand: record a better one');
end;

-- What counted when it was summed, and no longer does, leaves the sums at once.
create trigger superseded_call_leaves_rollups after insert on superseded_call
when new.id <= (select ledger_row from rollup_state) and new.id not in (select id from usage_loose)
begin
  update usage_unit_rollup set quantity = quantity - unit.value
  from rollup_place as place
  join ledger on ledger.id = place.id
  join json_each(ledger.usage) as unit
  where place.id = new.id
    and (usage_unit_rollup.grain, usage_unit_rollup.key_id, usage_unit_rollup.bucket, usage_unit_rollup.cut)
      = (place.grain, place.key_id, place.bucket, place.cut)
    and usage_unit_rollup.customer_id = place.customer_id
    and usage_unit_rollup.unit = unit.key;

  update usage_rollup set
    calls = calls - 1,
    prompt_tokens = usage_rollup.prompt_tokens - gone.prompt_tokens,
    completion_tokens = usage_rollup.completion_tokens - gone.completion_tokens,
    cache_read_tokens = usage_rollup.cache_read_tokens - gone.cache_read_tokens,
    cache_write_tokens = usage_rollup.cache_write_tokens - gone.cache_write_tokens,
    cache_write_1h_tokens = usage_rollup.cache_write_1h_tokens - gone.cache_write_1h_tokens,
    reasoning_tokens = usage_rollup.reasoning_tokens - gone.reasoning_tokens,
    web_search_requests = usage_rollup.web_search_requests - gone.web_search_requests,
    reported_4096ths = usage_rollup.reported_4096ths - gone.reported_4096ths,
    reported_picos = usage_rollup.reported_picos - gone.reported_picos,
    first_ts = nullif(first_ts, gone.ts),
    last_ts = nullif(last_ts, gone.ts)
  from rollup_place as place
  join usage_place as gone on gone.id = place.id
  where place.id = new.id
    and (usage_rollup.grain, usage_rollup.key_id, usage_rollup.bucket, usage_rollup.cut, usage_rollup.customer_id)
      = (place.grain, place.key_id, place.bucket, place.cut, place.customer_id);

  delete from usage_unit_rollup
  where quantity = 0
    and (grain, key_id, bucket, cut, customer_id) in (
      select grain, key_id, bucket, cut, customer_id from rollup_place where id = new.id
    );

  delete from usage_rollup
  where calls = 0
    and (grain, key_id, bucket, cut, customer_id) in (
      select grain, key_id, bucket, cut, customer_id from rollup_place where id = new.id
    );
end;

-- Tool calls that this call asked for belong to another one now, see tool_attribution. Its request is theirs, or that of
-- another account of the same response.
create trigger superseded_call_moves_tool_calls before insert on superseded_call
when (select audit_reach from rollup_state) > 0
begin
  insert into tool_loose (id)
  select id from tool_attribution
  where id in (
      select audit.id from audit
      where audit.request_id in (
          select request_id from ledger where id = new.id
          union
          select other.request_id
          from ledger as gone
          join ledger as other
            on substr(other.response_id, -8) = substr(gone.response_id, -8) and other.response_id = gone.response_id
          where gone.id = new.id and length(gone.response_id) >= 20
        )
        and audit.id <= (select audit_reach from rollup_state)
    )
    and call_id = new.id
    and id not in (select id from tool_loose);
end;
