/*
Where in the rollups does each tool call belong? By what determines its cost, and by when a price or an assignment changes.

Grain: one row per audit row, whether it counts or not.
Reads: tool_attribution, tool_price, agent_assignment, tool_key.

id             integer  audit.id
ts             text     When the call was made, ISO 8601 UTC
agent_id       text     As in tool_key
feature        text     As in tool_key
server         text     As in tool_key
tool           text     As in tool_key
unit           text     As in tool_key
units          integer  As in tool_key
reported       integer  As in tool_key
key_id         integer  tool_key.id. NULL: not there yet
all_agents_id  integer  The same for all agents together. NULL: not there yet
price_cut      text     Since when the price holds; empty: since before the month
agent_cut      text     Since when the assignment holds; empty: since before the month
customer_id    text     Empty: nobody's, or not known
failed_calls   integer  1: it ended in an error
units_sum      integer  How much, where units is 1; else 0
cost_4096ths   integer  What the tool says, or where units is 2 what its price makes of them: whole 4096ths of a dollar
cost_picos     integer  And the remaining pico-dollars (1e-12 USD)
orphan         integer  1: its LLM call is not in the ledger
*/
with said as (
  select
    id,
    ts,
    call_id,
    agent_id,
    coalesce(feature, '') as feature,
    coalesce(server, '') as server,
    tool,
    coalesce(customer_id, '') as customer_id,
    status,
    reported_usd,
    iif(reported_usd is null, coalesce(unit, ''), '') as unit,
    case
      when reported_usd is not null or unit is null or units is null then 0
      when units <= 1000000000 and units = cast(units as integer) then 1
      else 2
    end as shape,
    units as quantity
  from tool_attribution
),
placed as (
  select
    *,
    iif(reported_usd is not null, '', coalesce(
      (
        select max(iif(effective_to <= said.ts, effective_to, effective_from)) from tool_price
        where tool_price.tool = said.tool and effective_from <= said.ts
      ),
      ''
    )) as price_since,
    coalesce(
      (
        select max(valid_from) from agent_assignment
        where agent_assignment.agent_id = said.agent_id and valid_from <= said.ts
      ),
      ''
    ) as agent_since,
    case
      when reported_usd is not null then cast(round(reported_usd * 1e12) as integer)
      when shape = 2 then (
        -- As in tool_cost.
        select iif(tool_price.unit is null, 0, cast(round(tool_price.price * said.quantity) as integer))
        from tool_price
        where tool_price.tool = said.tool
          and (tool_price.server is null or tool_price.server = nullif(said.server, ''))
          and (tool_price.unit is null or tool_price.unit = said.unit)
          and said.ts >= tool_price.effective_from
          and (tool_price.effective_to is null or said.ts < tool_price.effective_to)
        order by tool_price.server is null, tool_price.effective_from desc, tool_price.id desc
        limit 1
      )
    end as picos
  from said
)
select
  placed.id,
  placed.ts,
  placed.agent_id,
  cast(placed.feature as text) as feature,
  cast(placed.server as text) as server,
  placed.tool,
  cast(placed.unit as text) as unit,
  cast(placed.shape as integer) as units,
  cast(placed.reported_usd is not null as integer) as reported,
  cast(tool_key.id as integer) as key_id,
  cast(tool_key.all_agents_id as integer) as all_agents_id,
  cast(iif(placed.price_since > substr(placed.ts, 1, 7) || '-01T00:00:00.000Z', placed.price_since, '') as text) as price_cut,
  cast(iif(placed.agent_since > substr(placed.ts, 1, 7) || '-01T00:00:00.000Z', placed.agent_since, '') as text) as agent_cut,
  cast(placed.customer_id as text) as customer_id,
  cast(coalesce(placed.status = 'error', 0) as integer) as failed_calls,
  cast(iif(placed.shape = 1, placed.quantity, 0) as integer) as units_sum,
  cast(coalesce(placed.picos / 244140625, 0) as integer) as cost_4096ths,
  cast(coalesce(placed.picos % 244140625, 0) as integer) as cost_picos,
  cast(placed.call_id is null as integer) as orphan
from placed
left join tool_key
  on tool_key.tool = placed.tool
  and tool_key.server = placed.server
  and tool_key.agent_id = placed.agent_id
  and tool_key.feature = placed.feature
  and tool_key.unit = placed.unit
  and tool_key.units = placed.shape
  and tool_key.reported = (placed.reported_usd is not null)
