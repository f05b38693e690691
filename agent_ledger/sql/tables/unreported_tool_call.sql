create table unreported_tool_call (
  -- Tool calls that were recorded, ceased to count, or got another account of their LLM call, after their month was closed
  -- for the first time: where the view restatement_cause looks for late ones. Filled by triggers; derived, not a fact.
  id integer primary key references audit (id)
) strict;

create trigger audit_unreported_tool_call after insert on audit
when exists (select 1 from period_close where month = substr(new.ts, 1, 7)) begin
  insert or ignore into unreported_tool_call (id) values (new.id);
end;

create trigger superseded_tool_call_unreported_tool_call after insert on superseded_tool_call
when exists (select 1 from period_close) begin
  insert or ignore into unreported_tool_call (id)
  select id from audit
  where id = new.id and exists (select 1 from period_close where month = substr(audit.ts, 1, 7));
end;
