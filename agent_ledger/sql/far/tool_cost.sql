/*
What did each tool call cost? One source per call: what the tool reported, else its price, else its part of the bill.

The view of that name in sql/views looks up the price of each call; here all are joined, for engines that can't look up.

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
with offered as (
  select
    tool_call.id,
    case
      when tool_price.unit is null then tool_price.price
      when tool_call.units <= 1000000000 and tool_call.units = cast(tool_call.units as integer)
        then cast(tool_price.price * cast(tool_call.units as integer) as integer)
      else cast(round(tool_price.price * tool_call.units) as integer)
    end as price_picos,
    row_number() over (
      partition by tool_call.id
      order by iif(tool_price.server is null, 1, 0), tool_price.effective_from desc, tool_price.id desc
    ) as choice
  from tool_call
  join tool_price on tool_price.tool = tool_call.tool
  where (tool_price.server is null or tool_price.server = tool_call.server)
    and (tool_price.unit is null or tool_price.unit = tool_call.unit)
    and tool_call.ts >= tool_price.effective_from
    and (tool_price.effective_to is null or tool_call.ts < tool_price.effective_to)
),
taken as (
  select audit_id, sum(cost_picos) as allocated_picos from allocation group by audit_id
),
decided as (
  select
    tool_call.*,
    coalesce(
      cast(round(tool_call.reported_usd * 1e12) as integer), offered.price_picos, taken.allocated_picos
    ) as picos,
    case
      when tool_call.reported_usd is not null then 'reported'
      when offered.price_picos is not null then 'tool_price'
      when taken.allocated_picos is not null then 'allocated'
    end as source
  from tool_call
  left join offered on offered.id = tool_call.id and offered.choice = 1
  left join taken on taken.audit_id = tool_call.id
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
