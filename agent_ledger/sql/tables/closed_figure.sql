create table closed_figure (
  -- What was reported for a closed month, by every axis: the rows of `monthly_figure` at that moment. Rows are never
  -- changed, removed or added later: the row of `period_close` is written last and seals them.
  close_id integer not null references period_close (id) deferrable initially deferred,
  axis text not null check (axis in ('agent', 'team', 'feature', 'customer', 'model', 'day', 'total')),
  key text not null,  -- the agent, team, …; '': of the total
  calls integer not null,  -- inferences
  prompt_tokens integer,  -- NULL: not known for any call
  cache_read_tokens integer,
  cache_write_tokens integer,
  completion_tokens integer,
  llm_4096ths integer,  -- cost of LLM calls exactly: whole 4096ths of a dollar; NULL: no call has a price, or there is none
  llm_picos integer  -- and the remaining pico-dollars (1e-12 USD)
    check (llm_picos between 0 and 244140624),
  unpriced_calls integer not null,
  tool_calls integer,  -- NULL: the axis is model
  tool_4096ths integer,  -- cost of tool calls and unallocated charges; NULL: no cost is known, or there are none
  tool_picos integer check (tool_picos between 0 and 244140624),
  uncosted_calls integer,  -- NULL: the axis is model
  check ((llm_4096ths is null) = (llm_picos is null)),
  check ((tool_4096ths is null) = (tool_picos is null)),
  primary key (close_id, axis, key)
) strict, without rowid;

create trigger closed_figure_no_update before update on closed_figure begin
  select raise(abort, 'what was reported is never changed: open the month again and close it');
end;

create trigger closed_figure_no_delete before delete on closed_figure begin
  select raise(abort, 'what was reported is never removed: open the month again and close it');
end;

-- Also before INSERT OR REPLACE, which would remove a row without asking the trigger above.
create trigger closed_figure_sealed before insert on closed_figure
when exists (select 1 from period_close where id = new.close_id) begin
  select raise(abort, 'what was reported is never changed: open the month again and close it');
end;
