/*
What was recorded since a month was closed that changes its figures? As far as the order of recording tells.

The cost of LLM calls depends on these calls alone, so that their causes are known by key. Tool calls share bills, so that
what is recorded of one changes the others: their causes are those of the month, but for assignments.

Calls in the rollups are counted there, those that came after the close are taken off again.

Grain: one row per closed month, part, axis, key and cause.
Reads: closed_month, unreported_call, unreported_tool_call, ledger, audit, superseded_call, superseded_tool_call, assignment,
  agent_assignment, rollup_cost, usage_rollup, usage_key, usage_loose, tool_rollup, tool_key, tool_loose, compacted, call_cost,
  tool_attribution, price_revision, tool_price, delivery, charge, exchange_rate, allocation_rule.

month  text  UTC month, YYYY-MM
part   text  llm or tool: which cost it changes
axis   text  agent, team, feature, customer, model, day or total. NULL: all
key    text  The agent, team, …; empty: of the total. NULL: all
cause  text  late calls, prices, assignment, bills, exchange rates or allocation rules
*/
with late as (
  select
    closed_month.month,
    ledger.id,
    -- Else it counted then, and no longer counts.
    not exists (select 1 from superseded_call where superseded_call.id = ledger.id) as is_added
  from unreported_call
  cross join ledger on ledger.id = unreported_call.id
  join closed_month on closed_month.month = substr(ledger.ts, 1, 7)
  where (
      ledger.id > closed_month.ledger_row
      and not exists (select 1 from superseded_call where superseded_call.id = ledger.id)
    )
    or exists (
      select 1 from superseded_call
      where superseded_call.id = ledger.id and superseded_call.by_id > closed_month.ledger_row
    )
),
then_assigned as (
  -- The assignments as they were known at the close, of agents of whom more was said since.
  select
    closed_month.month,
    told.agent_id,
    told.valid_from,
    lead(told.valid_from, 1, '9999-12-31T23:59:59.999Z') over (partition by closed_month.month, told.agent_id order by told.valid_from) as valid_to,
    told.team,
    told.feature
  from closed_month
  join agent_assignment as told on told.id = (
    select max(id) from agent_assignment as latest
    where latest.agent_id = told.agent_id
      and latest.valid_from = told.valid_from
      and latest.id <= closed_month.agent_assignment_row
  )
  where told.agent_id in (select agent_id from agent_assignment where id > closed_month.agent_assignment_row)
),
summed as (
  -- The calls of each closed month, of agents of whom more was said since, by what their assignment follows from.
  select 'llm' as part, closed_month.month, usage_key.agent_id, iif(usage_rollup.cut = '', closed_month.starts, usage_rollup.cut) as since,
    nullif(usage_key.feature, '') as feature, usage_rollup.calls
  from closed_month
  cross join usage_key
  cross join usage_rollup on usage_rollup.grain = 'month' and usage_rollup.key_id = usage_key.id
    and usage_rollup.bucket = closed_month.month
  where usage_key.agent_id in (select agent_id from agent_assignment where id > closed_month.agent_assignment_row)
    and (select ledger_row from compacted) > 0
  union all
  select 'llm', closed_month.month, ledger.agent_id, ledger.ts, ledger.feature, -1
  from late
  cross join closed_month on closed_month.month = late.month
  cross join ledger on ledger.id = late.id
  where late.is_added
    and ledger.agent_id in (select agent_id from agent_assignment where id > closed_month.agent_assignment_row)
    and ledger.id <= (select ledger_row from compacted)
    and ledger.id not in (select id from usage_loose)
  union all
  select 'llm', closed_month.month, ledger.agent_id, ledger.ts, ledger.feature, 1
  from ledger
  cross join closed_month on closed_month.month = substr(ledger.ts, 1, 7)
  where ledger.id > (select ledger_row from compacted)
    and ledger.id <= closed_month.ledger_row
    and ledger.agent_id in (select agent_id from agent_assignment where id > closed_month.agent_assignment_row)
    and not exists (select 1 from superseded_call where superseded_call.id = ledger.id)
  union all
  select 'llm', closed_month.month, ledger.agent_id, ledger.ts, ledger.feature, 1
  from ledger
  cross join closed_month on closed_month.month = substr(ledger.ts, 1, 7)
  where ledger.id in (select id from usage_loose)
    and ledger.id <= (select ledger_row from compacted)
    and ledger.id <= closed_month.ledger_row
    and ledger.agent_id in (select agent_id from agent_assignment where id > closed_month.agent_assignment_row)
    and not exists (select 1 from superseded_call where superseded_call.id = ledger.id)
  union all
  select 'tool', closed_month.month, tool_key.agent_id, iif(tool_rollup.cut = '', closed_month.starts, tool_rollup.cut),
    nullif(tool_key.feature, ''), tool_rollup.calls
  from closed_month
  cross join tool_key
  cross join tool_rollup on tool_rollup.grain = 'month' and tool_rollup.key_id = tool_key.id and tool_rollup.bucket = closed_month.month
  where tool_key.agent_id in (select agent_id from agent_assignment where id > closed_month.agent_assignment_row)
    and (select audit_row from compacted) > 0
  union all
  select 'tool', closed_month.month, tool_attribution.agent_id, tool_attribution.ts, tool_attribution.feature, -1
  from unreported_tool_call
  cross join tool_attribution on tool_attribution.id = unreported_tool_call.id
  join closed_month on closed_month.month = substr(tool_attribution.ts, 1, 7)
  where tool_attribution.id > closed_month.audit_row
    and tool_attribution.agent_id in (select agent_id from agent_assignment where id > closed_month.agent_assignment_row)
    and tool_attribution.id <= (select audit_row from compacted)
    and tool_attribution.id not in (select id from tool_loose)
    and not exists (select 1 from superseded_tool_call where superseded_tool_call.id = tool_attribution.id)
  union all
  select 'tool', closed_month.month, tool_attribution.agent_id, tool_attribution.ts, tool_attribution.feature, 1
  from tool_attribution
  cross join closed_month on closed_month.month = substr(tool_attribution.ts, 1, 7)
  where tool_attribution.id > (select audit_row from compacted)
    and tool_attribution.id <= closed_month.audit_row
    and tool_attribution.agent_id in (select agent_id from agent_assignment where id > closed_month.agent_assignment_row)
    and not exists (select 1 from superseded_tool_call where superseded_tool_call.id = tool_attribution.id)
  union all
  select 'tool', closed_month.month, tool_attribution.agent_id, tool_attribution.ts, tool_attribution.feature, 1
  from tool_attribution
  cross join closed_month on closed_month.month = substr(tool_attribution.ts, 1, 7)
  where tool_attribution.id in (select id from tool_loose)
    and tool_attribution.id <= (select audit_row from compacted)
    and tool_attribution.id <= closed_month.audit_row
    and tool_attribution.agent_id in (select agent_id from agent_assignment where id > closed_month.agent_assignment_row)
    and not exists (select 1 from superseded_tool_call where superseded_tool_call.id = tool_attribution.id)
),
moved as (
  select
    summed.month, summed.part, assignment.team, coalesce(summed.feature, assignment.feature) as feature,
    then_assigned.team as old_team, coalesce(summed.feature, then_assigned.feature) as old_feature
  from summed
  left join assignment on assignment.agent_id = summed.agent_id
    and summed.since >= assignment.valid_from
    and summed.since < assignment.valid_to
  left join then_assigned on then_assigned.month = summed.month
    and then_assigned.agent_id = summed.agent_id
    and summed.since >= then_assigned.valid_from
    and summed.since < then_assigned.valid_to
  group by 1, 2, 3, 4, 5, 6
  having sum(summed.calls) > 0
),
priced as (
  -- By agent and by customer apart, as the rollups are. NULL: not by this.
  select 'agent' as by, substr(bucket, 1, 7) as month, bucket as day, agent_id, team, feature, null as customer_id, model,
    price_id, cost_picos is null as is_unpriced, calls, 0 as id
  from rollup_cost
  where grain = 'day'
    and (select ledger_row from compacted) > 0
    and exists (
      select 1 from closed_month
      where month = substr(bucket, 1, 7) and price_revision_row < (select max(id) from price_revision)
    )
  union all
  select 'customer', bucket, null, null, null, null, customer_id, model, price_id, cost_picos is null, calls, 0
  from rollup_cost
  where grain = 'customer_month'
    and (select ledger_row from compacted) > 0
    and exists (
      select 1 from closed_month where month = bucket and price_revision_row < (select max(id) from price_revision)
    )
  union all
  select 'call', late.month, substr(ts, 1, 10), agent_id, team, feature, customer_id, model, price_id, cost_picos is null, -1, 0
  from late
  cross join call_cost on call_cost.id = late.id
  where late.is_added
    and late.id <= (select ledger_row from compacted)
    and late.id not in (select id from usage_loose)
  union all
  select 'call', substr(ts, 1, 7), substr(ts, 1, 10), agent_id, team, feature, customer_id, model, price_id, cost_picos is null, 1, id
  from call_cost
  where id > (select ledger_row from compacted) and exists (select 1 from closed_month where month = substr(ts, 1, 7))
  union all
  select 'call', substr(ts, 1, 7), substr(ts, 1, 10), agent_id, team, feature, customer_id, model, price_id, cost_picos is null, 1, id
  from call_cost
  where id in (select id from usage_loose) and id <= (select ledger_row from compacted)
    and exists (select 1 from closed_month where month = substr(ts, 1, 7))
),
repriced as (
  select priced.*
  from priced
  join closed_month on closed_month.month = priced.month
  where closed_month.price_revision_row < (select max(id) from price_revision)
    and priced.id <= closed_month.ledger_row
    and (
      priced.price_id > closed_month.price_revision_row
      or priced.is_unpriced and exists (  -- it may have had a price then
        select 1 from price_revision
        where price_revision.id > closed_month.price_revision_row and priced.model glob price_revision.model
      )
    )
),
touched as (
  select
    late.month, substr(ledger.ts, 1, 10) as day, ledger.agent_id, assignment.team,
    coalesce(ledger.feature, assignment.feature) as feature, ledger.customer_id, ledger.model
  from late
  cross join ledger on ledger.id = late.id
  left join assignment on assignment.agent_id = ledger.agent_id
    and ledger.ts >= assignment.valid_from
    and ledger.ts < assignment.valid_to
),
axes as (
  select column1 as axis from (values ('agent'), ('team'), ('feature'), ('customer'), ('model'), ('day'), ('total'))
),
found as (
  select
    touched.month,
    'llm' as part,
    axes.axis,
    case axes.axis
      when 'agent' then touched.agent_id
      when 'team' then coalesce(touched.team, '(unattributed)')
      when 'feature' then coalesce(touched.feature, '(unattributed)')
      when 'customer' then coalesce(touched.customer_id, '(unattributed)')
      when 'model' then touched.model
      when 'day' then touched.day
      else ''
    end as key,
    'late calls' as cause
  from touched
  cross join axes
  union
  select
    repriced.month,
    'llm',
    axes.axis,
    case axes.axis
      when 'agent' then repriced.agent_id
      when 'team' then coalesce(repriced.team, '(unattributed)')
      when 'feature' then coalesce(repriced.feature, '(unattributed)')
      when 'customer' then coalesce(repriced.customer_id, '(unattributed)')
      when 'model' then repriced.model
      when 'day' then repriced.day
      else ''
    end,
    'prices'
  from repriced
  join axes on iif(axes.axis = 'customer', repriced.by <> 'agent', repriced.by <> 'customer')
  group by 1, 3, 4
  having sum(repriced.calls) > 0
  union
  select month, part, 'team', coalesce(team, '(unattributed)'), 'assignment' from moved where team is not old_team
  union
  select month, part, 'team', coalesce(old_team, '(unattributed)'), 'assignment' from moved where team is not old_team
  union
  select month, part, 'feature', coalesce(feature, '(unattributed)'), 'assignment' from moved where feature is not old_feature
  union
  select month, part, 'feature', coalesce(old_feature, '(unattributed)'), 'assignment' from moved where feature is not old_feature
  union
  select closed_month.month, 'tool', null, null, 'late calls'
  from unreported_tool_call
  cross join audit on audit.id = unreported_tool_call.id
  join closed_month on closed_month.month = substr(audit.ts, 1, 7)
  where (
      audit.id > closed_month.audit_row
      and not exists (select 1 from superseded_tool_call where superseded_tool_call.id = audit.id)
    )
    or exists (
      select 1 from superseded_tool_call
      where superseded_tool_call.id = audit.id and superseded_tool_call.by_id > closed_month.audit_row
    )
    or exists (  -- an LLM call says whose the tool calls of its request are
      select 1 from ledger
      where ledger.request_id = audit.request_id
        and (
          ledger.id > closed_month.ledger_row
          or exists (
            select 1 from superseded_call
            where superseded_call.id = ledger.id and superseded_call.by_id > closed_month.ledger_row
          )
        )
    )
  union
  select closed_month.month, 'tool', null, null, 'prices'
  from closed_month
  join tool_price on tool_price.id > closed_month.tool_price_row
    and tool_price.effective_from < closed_month.ends
    and (tool_price.effective_to is null or tool_price.effective_to > closed_month.starts)
  union
  select closed_month.month, 'tool', null, null, 'bills'
  from closed_month
  where exists (
    select 1 from charge
    where charge.id > closed_month.charge_row
      and charge.period_start < closed_month.ends
      and charge.period_end > closed_month.starts
  ) or exists (  -- lines that a later delivery has left out
    select 1 from delivery as later
    join delivery on delivery.bill = later.bill and delivery.billing_period = later.billing_period and delivery.id < later.id
    join charge on charge.delivery_id = delivery.id
      and charge.period_start < closed_month.ends
      and charge.period_end > closed_month.starts
    where later.id > closed_month.delivery_row and later.content = 'charges'
  )
  union
  select closed_month.month, 'tool', null, null, 'exchange rates'
  from closed_month
  join exchange_rate on exchange_rate.id > closed_month.exchange_rate_row and exchange_rate.effective_from < closed_month.ends
  union
  select closed_month.month, 'tool', null, null, 'allocation rules'
  from closed_month
  join allocation_rule on allocation_rule.id > closed_month.allocation_rule_row
)
select
  cast(month as text) as month,
  cast(part as text) as part,
  cast(axis as text) as axis,
  cast(key as text) as key,
  cast(cause as text) as cause
from found
