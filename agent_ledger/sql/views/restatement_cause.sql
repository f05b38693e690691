/*
What was recorded since a month was closed that changes its figures? As far as the order of recording tells.

The cost of LLM calls depends on these calls alone, so that their causes are known by key. Tool calls share bills, so that
what is recorded of one changes the others: their causes are those of the month, but for assignments.

Grain: one row per closed month, part, axis, key and cause.
Reads: closed_month, ledger, audit, superseded_call, superseded_tool_call, assignment, agent_assignment,
  call_cost, tool_call, price_revision, tool_price, delivery, charge, exchange_rate, allocation_rule.

month  text  UTC month, YYYY-MM
part   text  llm or tool: which cost it changes
axis   text  agent, team, feature, customer, model, day or total. NULL: all
key    text  The agent, team, …; empty: of the total. NULL: all
cause  text  late calls, prices, assignment, bills, exchange rates or allocation rules
*/
with late as (
  select closed_month.month, ledger.id
  from closed_month
  join ledger on ledger.id > closed_month.ledger_row and ledger.ts >= closed_month.starts and ledger.ts < closed_month.ends
  where not exists (select 1 from superseded_call where superseded_call.id = ledger.id)
  union
  -- What counted then, and no longer counts.
  select closed_month.month, ledger.id
  from closed_month
  join superseded_call on superseded_call.by_id > closed_month.ledger_row
  join ledger on ledger.id = superseded_call.id and ledger.ts >= closed_month.starts and ledger.ts < closed_month.ends
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
moved as (
  select
    closed_month.month, 'llm' as part, call_cost.team, call_cost.feature, then_assigned.team as old_team,
    coalesce(ledger.feature, then_assigned.feature) as old_feature
  from closed_month
  join call_cost on call_cost.ts >= closed_month.starts and call_cost.ts < closed_month.ends
  join ledger on ledger.id = call_cost.id
  left join then_assigned on then_assigned.month = closed_month.month
    and then_assigned.agent_id = call_cost.agent_id
    and call_cost.ts >= then_assigned.valid_from
    and call_cost.ts < then_assigned.valid_to
  where call_cost.id <= closed_month.ledger_row
    and call_cost.agent_id in (select agent_id from agent_assignment where id > closed_month.agent_assignment_row)
  union
  select
    closed_month.month, 'tool', tool_call.team, tool_call.feature, then_assigned.team,
    coalesce(
      (
        select ledger.feature from ledger
        where ledger.request_id = tool_call.request_id
          and not exists (select 1 from superseded_call where superseded_call.id = ledger.id)
        order by id
        limit 1
      ),
      then_assigned.feature
    )
  from closed_month
  join tool_call on tool_call.ts >= closed_month.starts and tool_call.ts < closed_month.ends
  left join then_assigned on then_assigned.month = closed_month.month
    and then_assigned.agent_id = tool_call.agent_id
    and tool_call.ts >= then_assigned.valid_from
    and tool_call.ts < then_assigned.valid_to
  where tool_call.id <= closed_month.audit_row
    and tool_call.agent_id in (select agent_id from agent_assignment where id > closed_month.agent_assignment_row)
),
touched as (
  select
    late.month, 'late calls' as cause, substr(ledger.ts, 1, 10) as day, ledger.agent_id, assignment.team,
    coalesce(ledger.feature, assignment.feature) as feature, ledger.customer_id, ledger.model
  from late
  join ledger on ledger.id = late.id
  left join assignment on assignment.agent_id = ledger.agent_id
    and ledger.ts >= assignment.valid_from
    and ledger.ts < assignment.valid_to
  union
  select
    closed_month.month, 'prices', substr(call_cost.ts, 1, 10), call_cost.agent_id, call_cost.team,
    call_cost.feature, call_cost.customer_id, call_cost.model
  from closed_month
  join call_cost on call_cost.ts >= closed_month.starts and call_cost.ts < closed_month.ends
  where closed_month.price_revision_row < (select max(id) from price_revision)
    and call_cost.id <= closed_month.ledger_row
    and (
      call_cost.price_id > closed_month.price_revision_row
      or call_cost.cost_picos is null and exists (  -- it may have had a price then
        select 1 from price_revision
        where price_revision.id > closed_month.price_revision_row and call_cost.model glob price_revision.model
      )
    )
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
    touched.cause
  from touched
  cross join axes
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
  from closed_month
  where exists (
    select 1 from audit
    where audit.id > closed_month.audit_row and audit.ts >= closed_month.starts and audit.ts < closed_month.ends
      and not exists (select 1 from superseded_tool_call where superseded_tool_call.id = audit.id)
  ) or exists (
    select 1 from superseded_tool_call
    join audit on audit.id = superseded_tool_call.id
    where superseded_tool_call.by_id > closed_month.audit_row and audit.ts >= closed_month.starts and audit.ts < closed_month.ends
  ) or exists (  -- an LLM call says whose the tool calls of its request are
    select 1 from ledger
    join audit on audit.request_id = ledger.request_id
    where ledger.id > closed_month.ledger_row and audit.ts >= closed_month.starts and audit.ts < closed_month.ends
  ) or exists (
    select 1 from superseded_call
    join ledger on ledger.id = superseded_call.id
    join audit on audit.request_id = ledger.request_id
    where superseded_call.by_id > closed_month.ledger_row and audit.ts >= closed_month.starts and audit.ts < closed_month.ends
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
  join charge on charge.id > closed_month.charge_row
    and charge.period_start < closed_month.ends
    and charge.period_end > closed_month.starts
  union
  -- Lines that a later delivery has left out.
  select closed_month.month, 'tool', null, null, 'bills'
  from closed_month
  join delivery as later on later.id > closed_month.delivery_row and later.content = 'charges'
  join delivery on delivery.bill = later.bill and delivery.billing_period = later.billing_period and delivery.id < later.id
  join charge on charge.delivery_id = delivery.id
    and charge.period_start < closed_month.ends
    and charge.period_end > closed_month.starts
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
