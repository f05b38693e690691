/*
What was spent of each budget in its window, and on each of the days before it, exactly?

For one budget the answer comes straight from the rollups: whole UTC days, the hours at both ends of a window of another
zone, and call by call what they do not hold. Sums by customer have no hours, so there the ends are added up call by call.

Grain: one row per budget in force.
Reads: budget_in_force, rollup_cost, usage_key, agent_assignment, compacted, ledger, usage_loose, rollup_chunk, call_part, tool_rollup_cost,
  tool_key, audit, tool_loose, tool_chunk, tool_part, rest_cost.
Sums to: call_cost, tool_cost and unallocated_charge of the window, exactly.

budget_id      integer  budget.id, the row that holds
budget         text     budget.name
scope          text     agent, team, feature, customer, model or everything
key            text     Whose budget it is
period         text     day, week or month
zone           text     The IANA time zone whose days, weeks or months they are
basis          text     llm: LLM calls; all-in: tool calls and bills too
tier           text     How much it matters. NULL: not said
on_breach      text     notify, throttle or block
throttle_to    text     Model or pattern -> the model to use instead, JSON. NULL: none
hard_percent   integer  Of the limit, which no call may pass. NULL: there is no hard cap
steps          text     Percent of the limit at which somebody is told, a JSON array
limit_amount   real     In the currency. NULL: the limit is in tokens
currency       text     NULL: the limit is in tokens
limit_4096ths  integer  The limit exactly, first part: whole 4096ths of a dollar. NULL: in tokens, or no exchange rate is known
limit_picos    integer  Second part: the remaining pico-dollars (1e-12 USD)
limit_tokens   integer  NULL: the limit is in money
window         text     2026-11-30, 2026-W49 or 2026-11. NULL: the table budget_window does not reach so far
window_start   text     From this moment on, ISO 8601 UTC
window_end     text     Up to, not including, this one
now            text     The moment from which this is told
calls          integer  Inferences in the window
cost_4096ths   integer  What they cost exactly, first part: whole 4096ths of a dollar; all-in with tool calls, for everything with bills too
cost_picos     integer  Second part: the remaining pico-dollars (1e-12 USD), less than a 4096th
tokens         integer  Input and output tokens in the window
unknown_calls  integer  Inferences in the window whose cost, or tokens where the limit is in tokens, nobody knows
uncosted_calls integer  Tool calls in the window whose cost nobody says; 0 where the budget is for LLM calls
daily          text     UTC days up to five weeks back -> dollars, or tokens where the limit is in tokens, a JSON object; for forecasts
*/
with b as (
  select
    *,
    date(now, '-35 days') as history_start,
    -- The whole UTC days of the window are from first_day on and before last_day, its whole hours around them likewise.
    iif(substr(window_start, 11) = 'T00:00:00.000Z', substr(window_start, 1, 10), date(window_start, '+1 day')) as first_day,
    substr(window_end, 1, 10) as last_day,
    iif(substr(window_start, 14) = ':00:00.000Z', substr(window_start, 1, 13), strftime('%Y-%m-%dT%H', window_start, '+1 hour')) as first_hour,
    substr(window_end, 1, 13) as last_hour,
    iif(scope = 'customer', 'customer_day', 'day') as day_grain,
    iif(scope = 'customer', 'none', 'hour') as hour_grain
  from budget_in_force
),
edged as (
  -- Up to where, and from where, calls are added up one by one.
  select
    *,
    iif(scope = 'customer', first_day || 'T00:00:00.000Z', first_hour || ':00:00.000Z') as first_moment,
    iif(scope = 'customer', last_day || 'T00:00:00.000Z', last_hour || ':00:00.000Z') as last_moment
  from b
),
part as (
  select
    b.*,
    summed.value as summed,
    later.value as later,
    tools.value as tools
  from edged as b
  -- Each is one value, so that it is made once per budget, and only for the budgets that are asked for.
  cross join json_each(json_array(json((
    select json_group_array(json_array(day, inside, calls, whole, rest, tokens, unknown, uncosted))
    from (
      select
        substr(bucket, 1, 10) as day,
        inside,
        sum(calls) as calls,
        sum(cost_4096ths + cost_picos / 244140625) as whole,
        sum(cost_picos % 244140625) as rest,
        sum(coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0)) as tokens,
        sum(iif(iif(b.limit_tokens is null, cost_picos, prompt_tokens + completion_tokens) is null, calls, 0)) as unknown,
        0 as uncosted
      from (
        select sums.bucket, piece.inside, sums.calls, sums.cost_4096ths, sums.cost_picos, sums.prompt_tokens, sums.completion_tokens
        from (
          -- Whole days, and the whole hours of the days in which the window begins and ends.
          select b.day_grain as grain, b.history_start as first, substr(b.window_start, 1, 10) as last, 0 as inside
          union all
          select b.day_grain, b.first_day, b.last_day, 1
          union all
          select b.hour_grain, substr(b.window_start, 1, 10), substr(b.window_start, 1, 13), 0
          union all
          select b.hour_grain, b.first_hour, b.first_day, 1
          union all
          select b.hour_grain, b.last_day, b.last_hour, 1
        ) as piece
        cross join rollup_cost as sums on sums.grain = piece.grain and sums.bucket >= piece.first and sums.bucket < piece.last
        where (select ledger_row from compacted) > 0
          and (b.scope <> 'customer' or sums.customer = b.key)
          and sums.key_id in (
            select id from usage_key where b.scope = 'agent' and agent_id = b.key
            union all
            select id from usage_key where b.scope = 'customer' and agent_id = ''
            union all
            select id from usage_key where b.scope = 'model' and model = b.key and agent_id <> ''
            union all
            select id from usage_key where b.scope = 'feature' and feature = b.key and agent_id <> ''
            union all
            select id from usage_key
            where b.scope in ('team', 'feature') and b.key <> '(unattributed)' and agent_id in (
              select agent_id from agent_assignment where iif(b.scope = 'team', team, feature) = b.key
            )
            union all
            select id from usage_key where (b.scope = 'everything' or b.key = '(unattributed)') and agent_id <> ''
          )
          and case b.scope
            when 'agent' then sums.agent_id
            when 'team' then coalesce(sums.team, '(unattributed)')
            when 'feature' then coalesce(sums.feature, '(unattributed)')
            when 'customer' then coalesce(sums.customer_id, '(unattributed)')
            when 'model' then sums.model
            else '(everything)'
          end = b.key
        limit -1  -- so that SQLite works out each row's cost once
      )
      group by 1, 2
    )
  )))) as summed
  cross join json_each(json_array(json(iif(
    b.window_start < b.first_moment or b.last_moment < b.window_end
    or exists (select 1 from ledger where id > (select ledger_row from compacted))
    or exists (select 1 from usage_loose),
    (
      select json_group_array(json_array(day, inside, calls, whole, rest, tokens, unknown, uncosted))
      from (
        select
          substr(call.bucket, 1, 10) as day,
          call.bucket >= b.window_start as inside,
          sum(call.calls) as calls,
          sum(call.cost_4096ths + call.cost_picos / 244140625) as whole,
          sum(call.cost_picos % 244140625) as rest,
          sum(coalesce(call.prompt_tokens, 0) + coalesce(call.completion_tokens, 0)) as tokens,
          sum(iif(iif(b.limit_tokens is null, call.cost_picos, call.prompt_tokens + call.completion_tokens) is null, call.calls, 0)) as unknown,
          0 as uncosted
        from call_part as call
        where call.id in (
            select id from ledger
            where id > (select ledger_row from compacted)
              and ts >= b.history_start and ts < b.window_end and (b.scope <> 'agent' or agent_id = b.key)
            union all
            select id from ledger
            where id in (select id from usage_loose) and id <= (select ledger_row from compacted)
              and ts >= b.history_start and ts < b.window_end and (b.scope <> 'agent' or agent_id = b.key)
            union all
            select ledger.id
            from (
              select b.window_start as first, b.first_moment as last
              union all
              select b.last_moment, b.window_end
            ) as edge
            cross join rollup_chunk as chunk on chunk.first_ts < edge.last and chunk.last_ts >= edge.first
            cross join ledger on ledger.id >= chunk.first_id and ledger.id <= min(chunk.last_id, (select ledger_row from compacted))
            where edge.first < edge.last
              and ledger.ts >= edge.first and ledger.ts < edge.last and (b.scope <> 'agent' or ledger.agent_id = b.key)
              and ledger.id not in (select id from usage_loose)
          )
          and case b.scope
            when 'agent' then call.agent_id
            when 'team' then coalesce(call.team, '(unattributed)')
            when 'feature' then coalesce(call.feature, '(unattributed)')
            when 'customer' then coalesce(call.customer_id, '(unattributed)')
            when 'model' then call.model
            else '(everything)'
          end = b.key
        group by 1, 2
      )
    ),
    '[]'
  )))) as later
  cross join json_each(json_array(json(iif(
    b.basis = 'all-in',
    (
      select json_group_array(json_array(day, inside, calls, whole, rest, tokens, unknown, uncosted))
      from (
        select
          substr(sums.bucket, 1, 10) as day,
          piece.inside,
          0 as calls,
          sum(sums.cost_4096ths + sums.cost_picos / 244140625) as whole,
          sum(sums.cost_picos % 244140625) as rest,
          0 as tokens,
          0 as unknown,
          sum(sums.uncosted_calls) as uncosted
        from (
          -- Whole days, and the whole hours of the days in which the window begins and ends.
          select b.day_grain as grain, b.history_start as first, substr(b.window_start, 1, 10) as last, 0 as inside
          union all
          select b.day_grain, b.first_day, b.last_day, 1
          union all
          select b.hour_grain, substr(b.window_start, 1, 10), substr(b.window_start, 1, 13), 0
          union all
          select b.hour_grain, b.first_hour, b.first_day, 1
          union all
          select b.hour_grain, b.last_day, b.last_hour, 1
        ) as piece
        cross join tool_rollup_cost as sums on sums.grain = piece.grain and sums.bucket >= piece.first and sums.bucket < piece.last
        where (select audit_row from compacted) > 0
          and sums.key_id in (
            select id from tool_key where iif(b.scope = 'customer', agent_id = '', agent_id <> '' and (b.scope <> 'agent' or agent_id = b.key))
          )
          and case b.scope
            when 'agent' then sums.agent_id
            when 'team' then coalesce(sums.team, '(unattributed)')
            when 'feature' then coalesce(sums.feature, '(unattributed)')
            when 'customer' then coalesce(sums.customer_id, '(unattributed)')
            else '(everything)'
          end = b.key
        group by 1, 2
        union all
        select
          substr(call.bucket, 1, 10),
          call.bucket >= b.window_start,
          0,
          sum(call.cost_picos / 244140625),
          sum(call.cost_picos % 244140625),
          0,
          0,
          sum(call.uncosted_calls)
        from tool_part as call
        where call.id in (
            select id from audit
            where id > (select audit_row from compacted) and ts >= b.history_start and ts < b.window_end
            union all
            select id from audit
            where id in (select id from tool_loose) and id <= (select audit_row from compacted)
              and ts >= b.history_start and ts < b.window_end
            union all
            select audit.id
            from (
              select b.window_start as first, b.first_moment as last
              union all
              select b.last_moment, b.window_end
            ) as edge
            cross join tool_chunk as chunk on chunk.first_ts < edge.last and chunk.last_ts >= edge.first
            cross join audit on audit.id >= chunk.first_id and audit.id <= min(chunk.last_id, (select audit_row from compacted))
            where edge.first < edge.last
              and audit.ts >= edge.first and audit.ts < edge.last
              and audit.id not in (select id from tool_loose)
          )
          and case b.scope
            when 'agent' then call.agent_id
            when 'team' then coalesce(call.team, '(unattributed)')
            when 'feature' then coalesce(call.feature, '(unattributed)')
            when 'customer' then coalesce(call.customer_id, '(unattributed)')
            else '(everything)'
          end = b.key
        group by 1, 2
        union all
        -- Bills are by UTC days.
        select
          substr(bucket, 1, 10),
          bucket >= substr(b.window_start, 1, length(bucket)),
          0,
          sum(cost_4096ths + cost_picos / 244140625),
          sum(cost_picos % 244140625),
          0,
          0,
          0
        from rest_cost
        where b.scope = 'everything' and bucket >= b.history_start and bucket < b.window_end
        group by 1, 2
      )
    ),
    '[]'
  )))) as tools
)
select
  b.budget_id,
  b.budget,
  b.scope,
  b.key,
  b.period,
  b.zone,
  b.basis,
  b.tier,
  b.on_breach,
  b.throttle_to,
  b.hard_percent,
  b.steps,
  b.limit_amount,
  b.currency,
  b.limit_4096ths,
  b.limit_picos,
  b.limit_tokens,
  b.window,
  b.window_start,
  b.window_end,
  b.now,
  cast(json_extract(told.value, '$.calls') as integer) as calls,
  cast(json_extract(told.value, '$.whole') + json_extract(told.value, '$.rest') / 244140625 as integer) as cost_4096ths,
  cast(json_extract(told.value, '$.rest') % 244140625 as integer) as cost_picos,
  cast(json_extract(told.value, '$.tokens') as integer) as tokens,
  cast(json_extract(told.value, '$.unknown') as integer) as unknown_calls,
  cast(json_extract(told.value, '$.uncosted') as integer) as uncosted_calls,
  cast(json_extract(told.value, '$.daily') as text) as daily
from part as b
cross join json_each(json_array(json((
  select
    json_object(
      'calls', coalesce(sum(calls), 0),
      'whole', coalesce(sum(whole), 0),
      'rest', coalesce(sum(rest), 0),
      'tokens', coalesce(sum(tokens), 0),
      'unknown', coalesce(sum(unknown), 0),
      'uncosted', coalesce(sum(uncosted), 0),
      'daily', json(json_group_object(day, value))
    )
  from (
    select
      day,
      sum(iif(inside, calls, 0)) as calls,
      sum(iif(inside, whole, 0)) as whole,
      sum(iif(inside, rest, 0)) as rest,
      sum(iif(inside, tokens, 0)) as tokens,
      sum(iif(inside, unknown, 0)) as unknown,
      sum(iif(inside, uncosted, 0)) as uncosted,
      iif(b.limit_tokens is null, coalesce(sum(whole), 0) / 4096.0 + coalesce(sum(rest), 0) / 1e12, sum(tokens)) as value
    from (
      select
        json_extract(value, '$[0]') as day,
        json_extract(value, '$[1]') as inside,
        json_extract(value, '$[2]') as calls,
        json_extract(value, '$[3]') as whole,
        json_extract(value, '$[4]') as rest,
        json_extract(value, '$[5]') as tokens,
        json_extract(value, '$[6]') as unknown,
        json_extract(value, '$[7]') as uncosted
      from (
        select value from json_each(b.summed)
        union all
        select value from json_each(b.later)
        union all
        select value from json_each(b.tools)
      )
    )
    group by day
  )
)))) as told
