create table control_event (
  -- What the closed loop did: it detects, decides, acts and verifies, and each event names the one before it. Rows are never
  -- changed or removed. Each `act` is what somebody is told of, and has one `verify`.
  id integer primary key,
  ts text not null check (ts is strftime('%Y-%m-%dT%H:%M:%fZ', ts, '+0 days')),
  phase text not null check (phase in ('detect', 'decide', 'act', 'verify')),
  scope text not null check (scope in ('agent', 'team', 'feature', 'customer', 'model', 'everything')),
  key text not null check (key <> ''),  -- an agent_id, a team, …; (everything)
  budget text,  -- budget.name; NULL: none is concerned, as with an anomaly
  cause integer references control_event (id),  -- the event before it; NULL: a detect that follows from spend alone
  -- detect: step, exceeded, hard cap, forecast, anomaly, incomplete, exception, fell, rolled
  -- decide: nothing, notify, throttle, block, lift
  -- act: notified, throttled, blocked, lifted
  -- verify: worked, did not work, undecidable
  verdict text not null check (verdict <> ''),
  detail text not null check (json_valid(detail) and json_type(detail) = 'object'),  -- `text` is a sentence with the numbers
  once text not null unique,  -- what is told; the same thing is recorded once, whoever runs the loop, and however often
  check ((phase = 'detect') or cause is not null),
  check (verdict in ('worked', 'did not work', 'undecidable') or phase <> 'verify'),
  check (verdict in ('nothing', 'notify', 'throttle', 'block', 'lift') or phase <> 'decide'),
  check (verdict in ('notified', 'throttled', 'blocked', 'lifted') or phase <> 'act')
) strict;

create index control_event_cause on control_event (cause);
create index control_event_budget on control_event (budget, phase);
create unique index control_event_verify on control_event (cause) where phase = 'verify';

create trigger control_event_no_update before update on control_event begin
  select raise(abort, 'control events are never changed: they are a record');
end;

create trigger control_event_no_delete before delete on control_event begin
  select raise(abort, 'control events are never removed: they are a record');
end;

-- INSERT OR REPLACE would remove a row without asking the trigger above.
create trigger control_event_no_replace before insert on control_event when exists (select 1 from control_event where id = new.id) begin
  select raise(abort, 'control events are never changed: they are a record');
end;
