create table unreported_call (
  -- Calls that were recorded, or ceased to count, after their month was closed for the first time: where the view
  -- restatement_cause looks for late calls. Filled by triggers; derived, not a fact.
  id integer primary key references ledger (id)
) strict;

create trigger ledger_unreported_call after insert on ledger
when exists (select 1 from period_close) begin
  insert or ignore into unreported_call (id)
  select new.id where exists (select 1 from period_close where month = substr(new.ts, 1, 7));
  -- It says whose the tool calls of its request are.
  insert or ignore into unreported_tool_call (id)
  select id from audit
  where request_id = new.request_id and exists (select 1 from period_close where month = substr(audit.ts, 1, 7));
end;

create trigger superseded_call_unreported_call after insert on superseded_call
when exists (select 1 from period_close) begin
  insert or ignore into unreported_call (id)
  select id from ledger
  where id = new.id and exists (select 1 from period_close where month = substr(ledger.ts, 1, 7));
  insert or ignore into unreported_tool_call (id)
  select id from audit
  where request_id = (select request_id from ledger where id = new.id)
    and exists (select 1 from period_close where month = substr(audit.ts, 1, 7));
end;
