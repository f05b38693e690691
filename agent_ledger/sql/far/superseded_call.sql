/*
Which ledger rows do not count, because another row tells of the same inference? Where the rows of many ledgers stand
together, this says what the triggers of `ledger` say in one file; the same account from two hosts is one call.

Grain: one row per ledger row that does not count.
Reads: ledger, call_rank.

id      integer  ledger.id
by_id   integer  ledger.id of a row that counts more: the first of those
reason  text     duplicate: says the same; revised: a fuller account; conflict: they contradict each other
*/
with pair as (
  select ours.id, theirs.id as by_id
  from ledger as ours
  join ledger as theirs
    on theirs.request_id = ours.request_id
    and theirs.part = ours.part
    and theirs.id <> ours.id
    and (theirs.response_id = ours.response_id or theirs.response_id is null or ours.response_id is null)
  union
  select ours.id, theirs.id as by_id
  from ledger as ours
  join ledger as theirs
    on theirs.response_id = ours.response_id
    and theirs.part = ours.part
    and theirs.id <> ours.id
  where length(ours.response_id) >= 20
    and not (
      theirs.evidence in ('response', 'stream')
      and ours.evidence in ('response', 'stream')
      and ours.response_id not in (ours.request_id, theirs.request_id)
    )
),
beaten as (
  select pair.id, min(pair.by_id) as by_id
  from pair
  join call_rank as ours on ours.id = pair.id
  join call_rank as theirs on theirs.id = pair.by_id
  where theirs.rank > ours.rank or (theirs.rank = ours.rank and theirs.id < ours.id)
  group by pair.id
)
select
  beaten.id,
  cast(beaten.by_id as integer) as by_id,
  cast(case
    when theirs.content = ours.content
      and coalesce(theirs.customer_id, ours.customer_id, '') = coalesce(ours.customer_id, theirs.customer_id, '')
      then 'duplicate'
    when ours.evidence in ('partial', 'log', 'span')
      and (theirs.agent_id = ours.agent_id or theirs.agent_id = '(unattributed)' or ours.agent_id = '(unattributed)')
      then 'revised'
    else 'conflict'
  end as text) as reason
from beaten
join call_rank as ours on ours.id = beaten.id
join call_rank as theirs on theirs.id = beaten.by_id
