create table reservation (
  -- What calls that are under way may cost at most, so that together they can't pass a hard cap. A row is removed when its
  -- call is over. State of the runtime, and no fact.
  id text not null,  -- of the call: one row for each hard cap that it counts against
  budget text not null,  -- budget.name
  agent_id text not null,
  made_at text not null check (made_at is strftime('%Y-%m-%dT%H:%M:%fZ', made_at, '+0 days')),
  expires_at text not null  -- counts no more from then on: who made it has ended without a word
    check (expires_at is strftime('%Y-%m-%dT%H:%M:%fZ', expires_at, '+0 days')),
  picos integer check (picos >= 0),  -- pico-dollars (1e-12 USD); NULL: the cap is in tokens
  tokens integer check (tokens >= 0),  -- NULL: the cap is in money
  state text not null default 'open' check (state in ('open', 'expired')),
  primary key (budget, id),
  check ((picos is null) <> (tokens is null))
) strict, without rowid;

create index reservation_id on reservation (id);
create index reservation_expires_at on reservation (expires_at) where state = 'open';
