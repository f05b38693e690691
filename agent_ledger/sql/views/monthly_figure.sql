/*
What was spent in each month, by every axis, as exact integers? This is what closing a month fixes.

Grain: one row per UTC month, axis and key.
Reads: usage_cost, tool_usage_cost, rest_cost.
Sums to: daily_all_in, exactly, on each axis but model, which has LLM calls only.

month               text     UTC month, YYYY-MM
axis                text     agent, team, feature, customer, model, day or total
key                 text     The agent, team, …, (unattributed) or (unallocated); empty: of the total
calls               integer  Inferences
prompt_tokens       integer  All input tokens, cached ones included. NULL: not known for any call
cache_read_tokens   integer  Part of prompt_tokens. NULL: no calls
cache_write_tokens  integer  Part of prompt_tokens. NULL: no calls
completion_tokens   integer  All output tokens, reasoning included. NULL: not known for any call
llm_4096ths         integer  Cost of LLM calls exactly, first part: whole 4096ths of a dollar. NULL: no call has a price, or there is none
llm_picos           integer  Second part: the remaining pico-dollars (1e-12 USD), 0 to 244140624. NULL: as the first
unpriced_calls      integer  Inferences whose cost is not known
tool_calls          integer  Tool calls. NULL: the axis is model
tool_4096ths        integer  Cost of tool calls and unallocated charges, first part. NULL: no cost is known, or there are none
tool_picos          integer  Second part, 0 to 244140624. NULL: as the first
uncosted_calls      integer  Tool calls whose cost nobody says. NULL: the axis is model
*/
with axes as (
  select column1 as axis, column2 as grain
  from (values
    ('agent', 'month'),
    ('team', 'month'),
    ('feature', 'month'),
    ('customer', 'customer_month'),
    ('model', 'month'),
    ('day', 'day'),
    ('total', 'month')
  )
),
-- What came after the rollups is a part of each grain, and worked out once.
later as materialized (
  select
    bucket, agent_id, team, feature, customer_id, model,
    calls, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens, cost_4096ths, cost_picos
  from usage_cost
  where grain = 'call'
),
later_tool_call as materialized (
  select bucket, agent_id, team, feature, customer_id, calls, uncosted_calls, cost_4096ths, cost_picos
  from tool_usage_cost
  where grain = 'call'
),
-- Each grain is summed first, and only its sums are spread over the axes.
measured as (
  select
    'month' as grain, substr(bucket, 1, 7) as month, agent_id, team, feature, null as customer_id, model, null as day,
    sum(calls) as calls, sum(prompt_tokens) as prompt_tokens, sum(cache_read_tokens) as cache_read_tokens,
    sum(cache_write_tokens) as cache_write_tokens, sum(completion_tokens) as completion_tokens,
    sum(cost_4096ths + cost_picos / 244140625) as llm_whole, sum(cost_picos % 244140625) as llm_rest,
    sum(iif(cost_picos is null, calls, 0)) as unpriced_calls,
    0 as tool_calls, null as tool_whole, null as tool_rest, 0 as uncosted_calls
  from (
    select
      bucket, agent_id, team, feature, model,
      calls, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens, cost_4096ths, cost_picos
    from usage_cost
    where grain = 'month'
    union all
    select
      bucket, agent_id, team, feature, model,
      calls, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens, cost_4096ths, cost_picos
    from later
  )
  group by 2, 3, 4, 5, 7
  union all
  select
    'customer_month', substr(bucket, 1, 7), null, null, null, customer_id, null, null,
    sum(calls), sum(prompt_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(completion_tokens),
    sum(cost_4096ths + cost_picos / 244140625), sum(cost_picos % 244140625), sum(iif(cost_picos is null, calls, 0)),
    0, null, null, 0
  from (
    select
      bucket, customer_id,
      calls, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens, cost_4096ths, cost_picos
    from usage_cost
    where grain = 'customer_month'
    union all
    select
      bucket, customer_id,
      calls, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens, cost_4096ths, cost_picos
    from later
  )
  group by 2, 6
  union all
  select
    'day', substr(bucket, 1, 7), null, null, null, null, null, substr(bucket, 1, 10),
    sum(calls), sum(prompt_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(completion_tokens),
    sum(cost_4096ths + cost_picos / 244140625), sum(cost_picos % 244140625), sum(iif(cost_picos is null, calls, 0)),
    0, null, null, 0
  from (
    select
      bucket,
      calls, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens, cost_4096ths, cost_picos
    from usage_cost
    where grain = 'day'
    union all
    select
      bucket,
      calls, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens, cost_4096ths, cost_picos
    from later
  )
  group by 2, 8
  union all
  select
    'month', substr(bucket, 1, 7), agent_id, team, feature, null, null, null,
    0, null, null, null, null,
    null, null, 0,
    sum(calls), sum(cost_4096ths + cost_picos / 244140625), sum(cost_picos % 244140625), sum(uncosted_calls)
  from (
    select bucket, agent_id, team, feature, calls, uncosted_calls, cost_4096ths, cost_picos from tool_usage_cost where grain = 'month'
    union all
    select bucket, agent_id, team, feature, calls, uncosted_calls, cost_4096ths, cost_picos from later_tool_call
  )
  group by 2, 3, 4, 5
  union all
  select
    'customer_month', substr(bucket, 1, 7), null, null, null, customer_id, null, null,
    0, null, null, null, null,
    null, null, 0,
    sum(calls), sum(cost_4096ths + cost_picos / 244140625), sum(cost_picos % 244140625), sum(uncosted_calls)
  from (
    select bucket, customer_id, calls, uncosted_calls, cost_4096ths, cost_picos from tool_usage_cost where grain = 'customer_month'
    union all
    select bucket, customer_id, calls, uncosted_calls, cost_4096ths, cost_picos from later_tool_call
  )
  group by 2, 6
  union all
  select
    'day', substr(bucket, 1, 7), null, null, null, null, null, substr(bucket, 1, 10),
    0, null, null, null, null,
    null, null, 0,
    sum(calls), sum(cost_4096ths + cost_picos / 244140625), sum(cost_picos % 244140625), sum(uncosted_calls)
  from (
    select bucket, calls, uncosted_calls, cost_4096ths, cost_picos from tool_usage_cost where grain = 'day'
    union all
    select bucket, calls, uncosted_calls, cost_4096ths, cost_picos from later_tool_call
  )
  group by 2, 8
  union all
  select
    grain, substr(bucket, 1, 7), '(unallocated)', '(unallocated)', '(unallocated)', '(unallocated)', null, substr(bucket, 1, 10),
    0, null, null, null, null,
    null, null, 0,
    0, cost_4096ths + cost_picos / 244140625, cost_picos % 244140625, 0
  from rest_cost
  cross join (select distinct grain from axes)
),
summed as (
  select
    measured.month,
    axes.axis,
    case axes.axis
      when 'agent' then measured.agent_id
      when 'team' then coalesce(measured.team, '(unattributed)')
      when 'feature' then coalesce(measured.feature, '(unattributed)')
      when 'customer' then coalesce(measured.customer_id, '(unattributed)')
      when 'model' then measured.model
      when 'day' then measured.day
      else ''
    end as key,
    sum(measured.calls) as calls,
    sum(measured.prompt_tokens) as prompt_tokens,
    sum(measured.cache_read_tokens) as cache_read_tokens,
    sum(measured.cache_write_tokens) as cache_write_tokens,
    sum(measured.completion_tokens) as completion_tokens,
    sum(measured.llm_whole) as llm_whole,
    sum(measured.llm_rest) as llm_rest,
    sum(measured.unpriced_calls) as unpriced_calls,
    iif(axes.axis = 'model', null, sum(measured.tool_calls)) as tool_calls,
    sum(measured.tool_whole) as tool_whole,
    sum(measured.tool_rest) as tool_rest,
    iif(axes.axis = 'model', null, sum(measured.uncosted_calls)) as uncosted_calls
  from measured
  cross join axes on axes.grain = measured.grain
  where axes.axis <> 'model' or measured.model is not null
  group by 1, 2, 3
)
-- The same amount is always the same two numbers: SQLite divides towards zero, so a negative rest borrows one.
select
  cast(month as text) as month,
  cast(axis as text) as axis,
  cast(key as text) as key,
  cast(calls as integer) as calls,
  cast(prompt_tokens as integer) as prompt_tokens,
  cast(cache_read_tokens as integer) as cache_read_tokens,
  cast(cache_write_tokens as integer) as cache_write_tokens,
  cast(completion_tokens as integer) as completion_tokens,
  cast(llm_whole + llm_rest / 244140625 - (llm_rest % 244140625 < 0) as integer) as llm_4096ths,
  cast(llm_rest % 244140625 + iif(llm_rest % 244140625 < 0, 244140625, 0) as integer) as llm_picos,
  cast(unpriced_calls as integer) as unpriced_calls,
  cast(tool_calls as integer) as tool_calls,
  cast(tool_whole + tool_rest / 244140625 - (tool_rest % 244140625 < 0) as integer) as tool_4096ths,
  cast(tool_rest % 244140625 + iif(tool_rest % 244140625 < 0, 244140625, 0) as integer) as tool_picos,
  cast(uncosted_calls as integer) as uncosted_calls
from summed
