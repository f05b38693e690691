/*
What did each tool call cost? One source per call: what the tool reported, else its price, else its part of the bill.

The request is that of the LLM call that counts, which may not be the one that was recorded, so it leads to no index. In a
large ledger name the rows too: where id in (select id from audit where request_id = :id) and request_id = :id.

Grain: one row per tool call that counts.
Reads: tool_call, tool_price, allocation.
Sums to: what tools reported, what their prices say, and allocated_charge.

id            integer  audit.id
ts            text     When the call was made, ISO 8601 UTC
request_id    text     The LLM call that asked for it. NULL: not known
tool_call_id  text     The tool call
tool          text     The tool
server        text     Who offers it. NULL: not recorded
agent_id      text     Who called it, or (unattributed)
team          text     The agent's team at that time. NULL: none
feature       text     NULL: none
owner         text     NULL: nobody
customer_id   text     On whose behalf. NULL: nobody's, or not known
resource_id   text     What it touched. NULL: nothing billable
operation     text     NULL: not recorded
units         real     How much, in unit. NULL: not recorded
unit          text     NULL: not recorded
duration_ms   integer  NULL: not recorded
status        text     ok or error. NULL: not known
cost_usd      real     US dollars. NULL: nobody says
cost_picos    integer  The same in pico-dollars (1e-12 USD)
cost_source   text     reported, tool_price or allocated. NULL: nobody says
*/
with priced as (
  select
    tool_call.*,
    -- Most tools have no price, and to sort none takes longer than to see that.
    iif(tool_call.tool not in (select tool from tool_price), null, (
      select
        case
          when tool_price.unit is null then tool_price.price
          when tool_call.units <= 1000000000 and tool_call.units = cast(tool_call.units as integer)
            then cast(tool_price.price * cast(tool_call.units as integer) as integer)
          else cast(round(tool_price.price * tool_call.units) as integer)
        end
      from tool_price
      where tool_price.tool = tool_call.tool
        and (tool_price.server is null or tool_price.server = tool_call.server)
        and (tool_price.unit is null or tool_price.unit = tool_call.unit)
        and tool_call.ts >= tool_price.effective_from
        and (tool_price.effective_to is null or tool_call.ts < tool_price.effective_to)
      order by tool_price.server is null, tool_price.effective_from desc, tool_price.id desc
      limit 1
    )) as price_picos,
    (select sum(allocation.cost_picos) from allocation where allocation.audit_id = tool_call.id) as allocated_picos
  from tool_call
),
decided as (
  select
    *,
    coalesce(cast(round(reported_usd * 1e12) as integer), price_picos, allocated_picos) as picos,
    case
      when reported_usd is not null then 'reported'
      when price_picos is not null then 'tool_price'
      when allocated_picos is not null then 'allocated'
    end as source
  from priced
)
select
  id,
  ts,
  request_id,
  tool_call_id,
  tool,
  server,
  agent_id,
  team,
  feature,
  owner,
  customer_id,
  resource_id,
  operation,
  units,
  unit,
  duration_ms,
  status,
  cast(iif(
    abs(picos) < 9007199254740992, picos / 1e12, picos / 244140625 / 4096.0 + picos % 244140625 / 1e12
  ) as real) as cost_usd,
  cast(picos as integer) as cost_picos,
  cast(source as text) as cost_source
from decided
