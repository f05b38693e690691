create table tool_key (
  -- What the tool calls of a row of tool_rollup have in common, so that their cost follows from their sums. Derived:
  -- compacting adds the combinations that it meets.
  id integer primary key,
  agent_id text not null,  -- as in view tool_call; '': all agents together
  feature text not null,  -- as stamped on the LLM call; '': not stamped
  server text not null,  -- '': not recorded
  tool text not null,
  unit text not null,  -- '': not recorded, or the tool says what it cost
  units integer not null check (units in (0, 1, 2)),  -- how much each counts: not known, small whole numbers, others
  reported integer not null check (reported in (0, 1)),  -- the tool says what each of them cost
  all_agents_id integer references tool_key (id),  -- the same for all agents and features together; NULL: it is this
  unique (tool, server, agent_id, feature, unit, units, reported)
) strict;
