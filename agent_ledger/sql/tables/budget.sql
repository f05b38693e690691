create table budget (
  -- What may be spent by whom in a day, a week or a month, and what is done about it. Rows are never changed or removed: a
  -- later row of the same name holds from its valid_from on.
  id integer primary key,
  recorded_at text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    check (recorded_at is strftime('%Y-%m-%dT%H:%M:%fZ', recorded_at, '+0 days')),
  name text not null check (trim(name) <> ''),
  event text not null check (event in ('set', 'end')),  -- end: from valid_from on there is no such budget
  valid_from text not null  -- holds from this moment until the next row of the same name
    check (valid_from is strftime('%Y-%m-%dT%H:%M:%fZ', valid_from, '+0 days')),
  scope text not null check (scope in ('agent', 'team', 'feature', 'customer', 'model', 'everything')),
  key text not null check (trim(key) <> ''),  -- whose budget it is: an agent_id, a team, …; (everything)
  period text not null check (period in ('day', 'week', 'month')),  -- weeks begin on Monday
  zone text not null,  -- the IANA time zone whose days, weeks or months they are
  basis text not null check (basis in ('llm', 'all-in')),  -- of what: LLM calls, or tool calls and bills too
  limit_micros integer check (limit_micros > 0),  -- millionths of a unit of the currency; NULL: the limit is in tokens
  currency text check (currency glob '[A-Z][A-Z][A-Z]'),  -- USD, or one of exchange_rate
  limit_tokens integer check (limit_tokens > 0),  -- input and output together; NULL: the limit is in money
  steps text not null default '[50,80,100]'  -- percent of the limit at which somebody is told, a JSON array
    check (json_valid(steps) and json_type(steps) = 'array'),
  on_breach text not null check (on_breach in ('notify', 'throttle', 'block')),  -- at 100 percent, where no rule says otherwise
  throttle_to text  -- model, or pattern with * and ? -> the model to use instead, a JSON object: the first that matches counts
    check (throttle_to is null or iif(json_valid(throttle_to), json_type(throttle_to) = 'object', 0)),
  hard_percent integer check (hard_percent >= 100),  -- of the limit; no call may pass it; NULL: there is no hard cap
  tier text check (trim(tier) <> ''),  -- how much it matters, for the rules of a policy; NULL: not said
  recorded_by text check (trim(recorded_by) <> ''),  -- NULL: not said
  reason text check (trim(reason) <> ''),  -- NULL: not said
  check ((limit_micros is null) <> (limit_tokens is null)),
  check ((limit_micros is null) = (currency is null)),
  check (limit_tokens is null or basis = 'llm'),
  check (scope <> 'model' or basis = 'llm'),  -- a tool call has no model
  check (on_breach <> 'throttle' or throttle_to is not null),
  check ((scope = 'everything') = (key = '(everything)'))
) strict;

create index budget_name on budget (name, valid_from);

create trigger budget_no_update before update on budget begin
  select raise(abort, 'budgets are never changed: record a later row');
end;

create trigger budget_no_delete before delete on budget begin
  select raise(abort, 'budgets are never removed: record a later row');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger budget_no_replace before insert on budget when exists (select 1 from budget where id = new.id) begin
  select raise(abort, 'budgets are never changed: record a later row');
end;
