create table spend_counter (
  -- The counters of a tool that has budgets of its own, such as pydantic-ai-harness: state of theirs, and no figure of
  -- the ledger. A window is a key; a new window is a new key.
  key text primary key,
  usd_picos integer not null,  -- may fall: they correct themselves
  tokens integer not null,
  requests integer not null,
  unpriced_requests integer not null,
  expires_at text  -- counts as nothing from then on; NULL: never
    check (expires_at is strftime('%Y-%m-%dT%H:%M:%fZ', expires_at, '+0 days'))
) strict, without rowid;

create index spend_counter_expires_at on spend_counter (expires_at) where expires_at is not null;
