/*
Which tool call takes which part of which line of a bill?

Grain: one row per charge line and tool call.
Reads: allocation, billed_charge, tool_call.
Sums to: the cloud lines of billed_charge, together with unallocated_charge.

charge_id    text     The bill's id of the line
charge_row   integer  charge.id
audit_id     integer  audit.id
request_id   text     The LLM call that asked for the tool call. NULL: not known
agent_id     text     Who called it, or (unattributed)
provider     text     Whose bill
service      text     NULL: not named
resource_id  text     As billed. NULL: the line names no resource
usage_type   text     What is metered. NULL: not named
method       text     request: the line names the request; metered: the call's own units at the line's price; weighted: by weight
weight       real     The call's units or weight
share        real     Part of the line, 0 to 1
cost_usd     real     US dollars; negative for credits
cost_picos   integer  The same in pico-dollars (1e-12 USD)
*/
select
  billed_charge.charge_id,
  cast(billed_charge.id as integer) as charge_row,
  cast(allocation.audit_id as integer) as audit_id,
  tool_call.request_id,
  tool_call.agent_id,
  billed_charge.provider,
  billed_charge.service,
  billed_charge.resource_id,
  billed_charge.usage_type,
  cast(allocation.method as text) as method,
  cast(allocation.weight as real) as weight,
  cast(allocation.cost_picos * 1.0 / nullif(billed_charge.cost_picos, 0) as real) as share,
  cast(iif(
    abs(allocation.cost_picos) < 9007199254740992,
    allocation.cost_picos / 1e12,
    allocation.cost_picos / 244140625 / 4096.0 + allocation.cost_picos % 244140625 / 1e12
  ) as real) as cost_usd,
  cast(allocation.cost_picos as integer) as cost_picos
from allocation
join billed_charge on billed_charge.id = allocation.charge_id
join tool_call on tool_call.id = allocation.audit_id
