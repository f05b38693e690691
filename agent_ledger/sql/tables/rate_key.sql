create table rate_key (
  -- Every combination in the ledger that needs a price of its own. Filled by a trigger of `ledger`; derived, not a fact.
  model text not null,
  provider text not null,  -- '': not recorded
  service_tier text not null,  -- '': standard
  region text not null,  -- '': not recorded
  resolved_at text,  -- when its rates were last worked out; NULL: not yet
  reason text,  -- why it has no rate; NULL: it has one
  primary key (model, provider, service_tier, region)
) strict, without rowid;
