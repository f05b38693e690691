create table rate (
  -- The price revisions, resolved: at any moment exactly one row, or none, for a combination of `rate_key`, a time of
  -- day and a number of input tokens. Derived from price_revision by agent_ledger.pricing; not a fact.
  model text not null,
  provider text not null,
  service_tier text not null,
  region text not null,
  valid_from text not null,  -- the price holds from this moment
  valid_to text not null,  -- up to, not including, this one
  time_from text not null default '00:00',  -- and within each day from this UTC time
  time_to text not null default '24:00',
  min_tokens integer not null default 0,  -- for inferences of at least this many input tokens
  max_tokens integer not null default 9223372036854775807,  -- and less than this many
  input integer,  -- pico-dollars (1e-12 USD) per token; NULL: no price is known
  cache_read integer,
  cache_write integer,
  cache_write_1h integer,
  output integer,
  reasoning integer,
  web_search integer,  -- pico-dollars per request
  request integer not null default 0,  -- pico-dollars per call
  units text,  -- pico-dollars to add per unit of ledger.usage, JSON; what is part of a token count carries the difference
  price_source text not null,
  price_id integer not null references price_revision (id),  -- the row that the price comes from
  primary key (model, provider, service_tier, region, valid_from, time_from, min_tokens)
) strict, without rowid;
