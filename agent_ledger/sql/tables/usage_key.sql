create table usage_key (
  -- What the calls of a row of usage_rollup have in common, so that their cost follows from the sums of their tokens.
  -- Derived: compacting adds the combinations that it meets.
  id integer primary key,
  agent_id text not null,  -- '': all agents together
  model text not null,
  provider text not null,  -- '': not recorded
  service_tier text not null,  -- '': standard
  region text not null,  -- '': not recorded
  feature text not null,  -- as stamped on the calls; '': not stamped
  min_tokens integer not null,  -- which band of the price (see rate) their input tokens are in
  time_from text not null,  -- which part of the day (see rate) they were made in
  prompt integer not null check (prompt in (-1, 0, 1)),  -- their prompt_tokens: not known, none, some
  completion integer not null check (completion in (-1, 0, 1)),  -- their completion_tokens: not known, none, some
  searches integer not null check (searches in (0, 1)),  -- with web searches
  units integer not null check (units in (0, 1)),  -- with other billed units, which stand in usage_unit_rollup
  reported integer not null check (reported in (0, 1)),  -- the provider says what each of them cost
  anomaly integer not null check (anomaly in (0, 1)),  -- their counts do not add up
  off_tier integer not null check (off_tier in (0, 1)),  -- other counts than prompt_tokens select their price
  all_agents_id integer references usage_key (id),  -- the same for all agents and features together; NULL: it is this
  unique (
    agent_id, model, provider, service_tier, region, feature, min_tokens, time_from, prompt, completion, searches, units, reported,
    anomaly, off_tier
  )
) strict;
