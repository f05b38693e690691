/*
Lines of the bills, and what these tool calls take of them

Request: the line names the request. Metered: the call's own units at the line's price. Weighted: split by weight.

Reads: allocated_charge, audit, tool_cost.
*/
select
  audit.tool,
  allocated_charge.charge_id,
  allocated_charge.service,
  allocated_charge.resource_id,
  allocated_charge.usage_type,
  allocated_charge.method,
  allocated_charge.weight,
  allocated_charge.share,
  allocated_charge.cost_usd
from allocated_charge
join audit on audit.id = allocated_charge.audit_id
where allocated_charge.audit_id in (select id from audit where request_id = :request_id)
  and allocated_charge.audit_id in (
    select id from tool_cost
    where id in (select id from audit where request_id = :request_id) and cost_source = 'allocated'
  )
order by allocated_charge.audit_id, allocated_charge.charge_row
