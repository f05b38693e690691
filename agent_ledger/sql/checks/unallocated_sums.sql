/* Does every line of the cloud bills add up: what tool calls take, and what nobody takes? */
with taken as (
  select charge_row, sum(cost_picos) as picos
  from (
    select charge_row, cost_picos from allocated_charge
    union all
    select charge_row, cost_picos from unallocated_charge
  )
  group by charge_row
)
select
  billed_charge.bill || ' ' || billed_charge.billing_period || ', line ' || billed_charge.charge_id as subject,
  'its parts sum to ' || coalesce(taken.picos, 0) || ' pico-dollars, the line is ' || billed_charge.cost_picos || ': run agent-ledger allocate LEDGER' as problem
from billed_charge
left join taken on taken.charge_row = billed_charge.id
where billed_charge.kind = 'cloud' and coalesce(taken.picos, 0) <> billed_charge.cost_picos
