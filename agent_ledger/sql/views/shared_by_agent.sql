/*
Which part of what no tool call claimed of the bills falls on which agent, as the newest sharing rule says?

Only the agents of the month share, (unattributed) as one of them: each alike, by direct cost, or by the weights of the
rule. Where none of them has a weight above 0, nothing is shared. Weights are compared to nine decimals, and the parts are
whole pico-dollars by largest remainder. The direct cost never includes what is shared.

Grain: one row per UTC month and agent.
Reads: all_in_part, sharing_rule.
Sums to: the direct cost to daily_all_in without (unallocated); what is shared to its (unallocated), or to 0; exactly.

month           text     UTC month, YYYY-MM
agent_id        text     The agent, or (unattributed)
direct_usd      real     US dollars for its LLM calls and tool calls, as far as they are known. NULL: nothing is known
shared_usd      real     US dollars of the month's unclaimed charges that fall on it; negative for credits
direct_4096ths  integer  The direct cost exactly, first part: whole 4096ths of a dollar. NULL: nothing is known
direct_picos    integer  Second part: the remaining pico-dollars (1e-12 USD), 0 to 244140624. NULL: nothing is known
shared_4096ths  integer  What is shared exactly, first part
shared_picos    integer  Second part, 0 to 244140624
*/
with rule as (
  select method, shares
  from sharing_rule
  order by id desc
  limit 1
),
share as (
  select named.key as agent_id, sum(cast(named.value as real)) as weight
  from rule
  join json_each(rule.shares) as named
  group by 1
),
parts as (
  select
    substr(bucket, 1, 7) as month,
    agent_id,
    sum(llm_4096ths + llm_picos / 244140625) as llm_whole,
    sum(llm_picos % 244140625) as llm_rest,
    sum(tool_4096ths + tool_picos / 244140625) as tool_whole,
    sum(tool_picos % 244140625) as tool_rest
  from all_in_part
  where grain in ('month', 'call')
  group by 1, 2
),
spent as (
  select
    month,
    agent_id,
    coalesce(llm_whole + tool_whole, llm_whole, tool_whole) as direct_whole,
    coalesce(llm_rest + tool_rest, llm_rest, tool_rest) as direct_rest
  from parts
),
unclaimed as (
  select
    *,
    max(iif(agent_id = '(unallocated)', direct_whole, null)) over (partition by month) as unclaimed_whole,
    max(iif(agent_id = '(unallocated)', direct_rest, null)) over (partition by month) as unclaimed_rest
  from spent
),
weighted as (
  select
    unclaimed.*,
    case (select method from rule)
      when 'even' then 1.0
      when 'proportional' then max(coalesce(direct_whole / 4096.0 + direct_rest / 1e12, 0.0), 0.0)
      when 'fixed' then max(coalesce(share.weight, 0.0), 0.0)
    end as weight
  from unclaimed
  left join share on share.agent_id = unclaimed.agent_id
  where unclaimed.agent_id <> '(unallocated)'
),
scaled as (
  select *, cast(round(1e9 * weight / nullif(sum(weight) over (partition by month), 0.0)) as integer) as part
  from weighted
),
-- An amount times a weight does not fit into 64 bits, so each step divides by the sum of weights first and goes on with
-- the remainder: unclaimed = (unclaimed_whole / parts * parts) 4096ths + remaining picos.
summed as (
  select *, sum(part) over (partition by month) as parts
  from scaled
),
remaining as (
  select *, unclaimed_whole % parts * 244140625 + unclaimed_rest as remaining
  from summed
),
ranked as (
  select
    *,
    sum(remaining % parts * part % parts) over (partition by month) / parts as missing,
    row_number() over (partition by month order by abs(remaining % parts * part % parts) desc, agent_id) as place
  from remaining
),
shared as (
  select
    month,
    agent_id,
    direct_whole,
    direct_rest,
    coalesce(unclaimed_whole / parts * part, 0) as shared_whole,
    coalesce(
      remaining / parts * part + remaining % parts * part / parts
        + iif(place <= abs(missing), iif(missing < 0, -1, 1), 0),
      0
    ) as shared_rest
  from ranked
)
select
  cast(month as text) as month,
  cast(agent_id as text) as agent_id,
  -- The nearest double, see daily_cost.
  cast(iif(
    abs(direct_whole + direct_rest / 244140625) < 36893488,
    (direct_whole * 244140625 + direct_rest) / 1e12,
    (direct_whole + direct_rest / 244140625) / 4096.0 + direct_rest % 244140625 / 1e12
  ) as real) as direct_usd,
  cast(iif(
    abs(shared_whole + shared_rest / 244140625) < 36893488,
    (shared_whole * 244140625 + shared_rest) / 1e12,
    (shared_whole + shared_rest / 244140625) / 4096.0 + shared_rest % 244140625 / 1e12
  ) as real) as shared_usd,
  -- The same amount is always the same two numbers, see monthly_figure.
  cast(direct_whole + direct_rest / 244140625 - (direct_rest % 244140625 < 0) as integer) as direct_4096ths,
  cast(direct_rest % 244140625 + iif(direct_rest % 244140625 < 0, 244140625, 0) as integer) as direct_picos,
  cast(shared_whole + shared_rest / 244140625 - (shared_rest % 244140625 < 0) as integer) as shared_4096ths,
  cast(shared_rest % 244140625 + iif(shared_rest % 244140625 < 0, 244140625, 0) as integer) as shared_picos
from shared
