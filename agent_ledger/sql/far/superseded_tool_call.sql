/*
Which audit rows do not count, because another row tells of the same tool call? Where the rows of many ledgers stand
together, this says what the trigger of `audit` says in one file.

Grain: one row per audit row that does not count.
Reads: audit, tool_call_rank.

id      integer  audit.id
by_id   integer  audit.id of a row that counts more: the first of those
reason  text     revised: a fuller account; conflict: they contradict each other
*/
with beaten as (
  select ours.id, min(theirs.id) as by_id
  from tool_call_rank as ours
  join tool_call_rank as theirs
    on theirs.tool_call_id = ours.tool_call_id
    and (theirs.request_id = ours.request_id or theirs.request_id is null or ours.request_id is null)
    and theirs.id <> ours.id
    and (theirs.rank > ours.rank or (theirs.rank = ours.rank and theirs.id < ours.id))
  group by ours.id
)
select
  beaten.id,
  cast(beaten.by_id as integer) as by_id,
  cast(case
    when theirs.tool = ours.tool
      and coalesce(theirs.resource_id = ours.resource_id, true)
      and coalesce(theirs.agent_id = ours.agent_id, true)
      then 'revised'
    else 'conflict'
  end as text) as reason
from beaten
join tool_call_rank as ours on ours.id = beaten.id
join tool_call_rank as theirs on theirs.id = beaten.by_id
