/*
Which team, feature and owner did an agent belong to, and when?

Grain: one row per agent and interval; the intervals of an agent do not overlap.
Reads: agent_assignment.

agent_id    text  The agent
valid_from  text  From this moment, ISO 8601 UTC
valid_to    text  Up to, not including, this one
team        text  NULL: none
feature     text  NULL: none
owner       text  NULL: nobody
*/
select
  agent_id,
  valid_from,
  cast(coalesce(lead(valid_from) over (partition by agent_id order by valid_from), '9999-12-31T23:59:59.999Z') as text) as valid_to,
  team,
  feature,
  owner
from agent_assignment as latest
where id = (
  select max(id) from agent_assignment
  where agent_id = latest.agent_id and valid_from = latest.valid_from
)
