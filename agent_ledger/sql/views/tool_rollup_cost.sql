/*
What did the tool calls in the rollups cost? The cost of one is defined in tool_cost; this adds up many at the same price.

Grain: one row per row of tool_rollup: filter by grain, each of them holds every call once.
Reads: tool_rollup, tool_key, tool_price, tool_allocated, assignment.
Sums to: tool_cost of the calls in the rollups, exactly, for each grain.

grain           text     As in tool_rollup
key_id          integer  tool_key.id
bucket          text     The UTC day or month: YYYY-MM-DD or YYYY-MM
agent_id        text     Who called, or (unattributed); empty: all agents together
team            text     The agent's team at that time. NULL: none
feature         text     As stamped on the LLM calls, else the agent's at that time. NULL: none
customer_id     text     On whose behalf. NULL: nobody's, or all customers together
server          text     Who offers the tool. NULL: not recorded
tool            text     The tool
calls           integer  Tool calls
failed_calls    integer  Those that ended in an error
uncosted_calls  integer  Those whose cost nobody says
cost_4096ths    integer  Their cost exactly, first part: whole 4096ths of a dollar. NULL: nobody says
cost_picos      integer  Second part: the remaining pico-dollars (1e-12 USD), which may be more than one 4096th. NULL: nobody says
*/
with dated as (
  select
    tool_rollup.*,
    iif(cut = '', bucket || substr('0000-01-01T00:00:00.000Z', length(bucket) + 1), cut) as since
  from tool_rollup
),
chosen as (
  select
    dated.*,
    tool_key.agent_id,
    nullif(tool_key.feature, '') as feature,
    nullif(tool_key.server, '') as server,
    tool_key.tool,
    tool_key.units as shape,
    tool_key.reported,
    -- As in tool_cost; most tools have no price, and to sort none takes longer than to see that.
    iif(tool_key.reported or tool_key.tool not in (select tool from tool_price), null, (
      select tool_price.id from tool_price
      where tool_price.tool = tool_key.tool
        and (tool_price.server is null or tool_price.server = nullif(tool_key.server, ''))
        and (tool_price.unit is null or tool_price.unit = nullif(tool_key.unit, ''))
        and dated.since >= tool_price.effective_from
        and (tool_price.effective_to is null or dated.since < tool_price.effective_to)
      order by tool_price.server is null, tool_price.effective_from desc, tool_price.id desc
      limit 1
    )) as tool_price_id
  from dated
  join tool_key on tool_key.id = dated.key_id
),
priced as (
  select
    chosen.*,
    tool_price.price / 244140625 as price_whole,
    tool_price.price % 244140625 as price_rest,
    iif(tool_price.unit is null, chosen.calls, chosen.units) as quantity,
    case
      when chosen.reported then 'summed'
      when tool_price.unit is null and tool_price.id is not null or tool_price.unit is not null and chosen.shape = 1 then 'priced'
      when tool_price.unit is not null and chosen.shape = 2 then 'summed'
      else 'allocated'
    end as source
  from chosen
  left join tool_price on tool_price.id = chosen.tool_price_id
)
select
  priced.grain,
  priced.key_id,
  priced.bucket,
  priced.agent_id,
  assignment.team,
  cast(coalesce(priced.feature, assignment.feature) as text) as feature,
  cast(nullif(priced.customer_id, '') as text) as customer_id,
  cast(priced.server as text) as server,
  priced.tool,
  priced.calls,
  priced.failed_calls,
  cast(iif(source = 'allocated', priced.calls - coalesce(tool_allocated.calls, 0), 0) as integer) as uncosted_calls,
  -- Millions (of 2^20) and the rest are multiplied apart, as in rollup_cost.
  cast(case source
    when 'summed' then priced.cost_4096ths
    when 'priced' then quantity * price_whole + (quantity >> 20) * price_rest / 244140625 * 1048576
    else tool_allocated.cost_4096ths
  end as integer) as cost_4096ths,
  cast(case source
    when 'summed' then priced.cost_picos
    when 'priced' then (quantity >> 20) * price_rest % 244140625 * 1048576 + (quantity & 1048575) * price_rest
    else tool_allocated.cost_picos
  end as integer) as cost_picos
from priced
left join tool_allocated
  on tool_allocated.grain = priced.grain
  and tool_allocated.key_id = priced.key_id
  and tool_allocated.bucket = priced.bucket
  and tool_allocated.cut = priced.cut
  and tool_allocated.customer_id = priced.customer_id
left join assignment
  on assignment.agent_id = priced.agent_id
  and priced.since >= assignment.valid_from
  and priced.since < assignment.valid_to
