/*
What was spent, in the columns of FOCUS 1.2, for the tools of finance? agent-ledger export writes it as a file, with exact decimals.

One price per row: calls of a day whose unit price differs are different rows, so that quantity times unit price is the cost.
Calls without a price, tool calls without a cost and charges without an exchange rate have no row: their cost is not zero.

Rows are not added up further than they are in the rollups; the export adds up those that differ in amounts only.

Grain: one row per row of token_cost; per tool call with a cost of its own; per allocated part; per unallocated rest.
Reads: token_cost, tool_cost, allocation, allocation_rest, charge, delivery, unallocated_charge, billed_charge.
Sums to: daily_all_in, exactly (x_BilledPicos).

BillingPeriodStart      text     First day of the month, of bill lines the month of the bill: YYYY-MM-DDTHH:MM:SSZ
BillingPeriodEnd        text     Not included
ChargePeriodStart       text     The UTC day of the calls; of unallocated charges, the period on the bill
ChargePeriodEnd         text     Not included
BillingAccountId        text     The paying account on the bill; agent-ledger where the cost comes from prices, not from a bill
BillingAccountName      text     The same
SubAccountId            text     The account that used it. NULL: no bill line, or not named
SubAccountName          text     The same
ProviderName            text     anthropic, aws, …, of tools their server, or (unattributed)
PublisherName           text     The same
InvoiceIssuerName       text     The same
InvoiceId               text     As billed. NULL: no bill line, or not named
ChargeCategory          text     Usage, Purchase, Tax, Credit or Adjustment
ChargeClass             text     NULL: nothing here corrects a closed period
ChargeDescription       text     What it is, for people
ChargeFrequency         text     Usage-Based, or One-Time for all but usage
ServiceCategory         text     AI and Machine Learning, Storage, …; Other where the service is not known
ServiceSubcategory      text     Generative AI, Object Storage, …
ServiceName             text     Large language models, the tool, or the service as billed
ResourceId              text     As billed. NULL: no bill line, or it names no resource
RegionId                text     Of LLM calls, where a price depends on it. NULL: not recorded
RegionName              text     The same
SkuId                   text     provider/model/kind of tokens; server/tool; or what the bill meters. NULL: taxes
SkuMeter                text     Input, Cache reads, … NULL: taxes
SkuPriceId              text     SkuId with tier, region and unit price. NULL: taxes
SkuPriceDetails         text     A JSON object: x_Model, x_TokenType, x_ServiceTier. NULL: no LLM call
PricingCategory         text     Standard. NULL: taxes
PricingQuantity         real     In PricingUnit: tokens, requests, or US dollars where there is no unit price. NULL: neither usage nor purchase
PricingUnit             text     Tokens, Requests or USD. NULL: as PricingQuantity
ConsumedQuantity        real     In ConsumedUnit; of a bill line, the row's share of it. NULL: not usage
ConsumedUnit            text     Tokens, Requests, or as billed. NULL: not usage
ListUnitPrice           real     US dollars per PricingUnit, as the price in force says. NULL: neither usage nor purchase
ContractedUnitPrice     real     The same
BilledCost              real     US dollars
ListCost                real     The same
ContractedCost          real     The same
EffectiveCost           real     The same; 0 for purchases
BillingCurrency         text     USD
Tags                    text     A JSON object: agent, team, feature and customer; of bill lines, their tags. NULL: no tags
AllocatedMethodId       text     How the line was split: request, metered or weighted. NULL: not an allocated line
AllocatedMethodDetails  text     A JSON object with the row's part of the line, as FOCUS 1.3 has it. NULL: not an allocated line
x_AgentId               text     Who spent it, or (unattributed), or (unallocated)
x_Team                  text     Or (unattributed), or (unallocated)
x_Feature               text     Or (unattributed), or (unallocated)
x_CustomerId            text     Or (unattributed), or (unallocated)
x_Model                 text     The model that answered. NULL: no LLM call
x_ServiceTier           text     NULL: standard, or no LLM call
x_TokenType             text     input, cache_read, cache_write, cache_write_1h, output, reasoning, web_search, request, units; whole: reported as one sum. NULL: no LLM call
x_Server                text     Who offers the tool. NULL: no tool call, or not recorded
x_Tool                  text     NULL: no tool call with a cost of its own
x_CostSource            text     Of calls computed, estimated or reported; of tool calls reported, tool_price or allocated; unallocated
x_PriceSource           text     contract, genai-prices, … NULL: no LLM call
x_AuditCalls            integer  Tool calls that the row is for. NULL: LLM calls, and what is not allocated
x_ChargeId              text     The bill's id of the line. NULL: no bill line
x_UnallocatedReason     text     Why no tool call takes it. NULL: not unallocated
x_UnitPicos             integer  ListUnitPrice exactly, in pico-dollars (1e-12 USD). NULL: as ListUnitPrice
x_BilledPicos           integer  BilledCost exactly, in pico-dollars (1e-12 USD)
*/
with call_rows as (
  select
    day,
    agent_id,
    coalesce(team, '(unattributed)') as team,
    coalesce(feature, '(unattributed)') as feature,
    coalesce(customer_id, '(unattributed)') as customer_id,
    coalesce(provider, '(unattributed)') as provider,
    model,
    service_tier,
    region,
    cost_source,
    price_source,
    token_type,
    case token_type
      when 'input' then 'Input'
      when 'cache_read' then 'Cache reads'
      when 'cache_write' then 'Cache writes'
      when 'cache_write_1h' then 'Cache writes for 1 hour'
      when 'output' then 'Output'
      when 'reasoning' then 'Reasoning'
      when 'web_search' then 'Web searches'
      when 'request' then 'Fee per call'
      when 'units' then 'Other units'
      else 'As the provider reports it'
    end as meter,
    case
      when token_type in ('web_search', 'request', 'whole') then 'Requests'
      when token_type = 'units' then 'USD'
      else 'Tokens'
    end as unit,
    quantity,
    unit_picos as price,
    cost_picos as billed,
    coalesce(provider, '(unattributed)') || '/' || model || '/' || token_type as sku
  from token_cost
),
line as (
  select charge_id, sum(cost_picos) as picos
  from (select charge_id, cost_picos from allocation union all select charge_id, cost_picos from allocation_rest)
  group by charge_id
),
allocated as (
  select
    substr(tool_cost.ts, 1, 10) as day,
    tool_cost.agent_id,
    coalesce(tool_cost.team, '(unattributed)') as team,
    coalesce(tool_cost.feature, '(unattributed)') as feature,
    coalesce(tool_cost.customer_id, '(unattributed)') as customer_id,
    allocation.method,
    allocation.charge_id as charge_row,
    count(*) as calls,
    sum(allocation.weight) as weight,
    sum(allocation.cost_picos) as billed
  from allocation
  cross join tool_cost on tool_cost.id = allocation.audit_id
  where tool_cost.cost_source = 'allocated'
  group by 1, 2, 3, 4, 5, 6, 7
),
tool_rows as (
  select
    substr(ts, 1, 10) as day,
    agent_id,
    coalesce(team, '(unattributed)') as team,
    coalesce(feature, '(unattributed)') as feature,
    coalesce(customer_id, '(unattributed)') as customer_id,
    server,
    tool,
    cost_source,
    cost_picos
  from tool_cost
  where cost_source <> 'allocated'
),
bill_rows as (
  select
    allocated.day || 'T00:00:00Z' as starts, null as ends, allocated.day, delivery.billing_period, delivery.bill,
    charge.account, charge.provider, charge.service, charge.resource_id, charge.operation, charge.usage_type,
    charge.quantity, charge.unit, charge.category, charge.invoice_id, charge.tags, charge.description, charge.charge_id,
    allocated.billed, allocated.billed * 1.0 / nullif(line.picos, 0) as share, allocated.method, allocated.weight,
    allocated.calls, allocated.agent_id, allocated.team, allocated.feature, allocated.customer_id,
    'allocated' as cost_source, null as reason
  from allocated
  join charge on charge.id = allocated.charge_row
  join delivery on delivery.id = charge.delivery_id
  join line on line.charge_id = allocated.charge_row
  union all
  select
    substr(billed_charge.period_start, 1, 19) || 'Z', substr(billed_charge.period_end, 1, 19) || 'Z', null,
    billed_charge.billing_period, billed_charge.bill, billed_charge.account, billed_charge.provider, billed_charge.service,
    billed_charge.resource_id, billed_charge.operation, billed_charge.usage_type, billed_charge.quantity, billed_charge.unit,
    billed_charge.category, billed_charge.invoice_id, billed_charge.tags, billed_charge.usage_type,
    billed_charge.charge_id, unallocated_charge.cost_picos,
    unallocated_charge.cost_picos * 1.0 / nullif(billed_charge.cost_picos, 0), null, null, null,
    '(unallocated)', '(unallocated)', '(unallocated)', '(unallocated)', 'unallocated', unallocated_charge.reason
  from unallocated_charge
  join billed_charge on billed_charge.id = unallocated_charge.charge_row
  where unallocated_charge.cost_picos is not null
),
rows_of_all as (
  select
    substr(day, 1, 7) as month, day || 'T00:00:00Z' as starts, null as ends, day, 'agent-ledger' as payer,
    null as account, provider, null as invoice_id, 'Usage' as category, model || ': ' || meter as description,
    'Large language models' as service, null as resource_id, region, sku, meter,
    sku || '#' || coalesce(service_tier, '') || '#' || coalesce(region, '') || '#' || coalesce(price, '') as sku_price,
    json_object('x_Model', model, 'x_TokenType', token_type, 'x_ServiceTier', service_tier) as details,
    iif(price is null, null, quantity) as priced, unit as priced_unit, price as unit_picos,
    coalesce(quantity, billed / 1e12) as consumed, unit as consumed_unit, billed,
    json_object('agent', agent_id, 'team', team, 'feature', feature, 'customer', customer_id) as tags,
    null as method, null as method_details, agent_id, team, feature, customer_id, model, service_tier, token_type,
    null as server, null as tool, cost_source, price_source, null as tool_calls, null as charge_id, null as reason
  from call_rows
  union all
  select
    substr(day, 1, 7), day || 'T00:00:00Z', null, day, 'agent-ledger', null, coalesce(server, '(unattributed)'), null,
    'Usage', 'Tool ' || tool, tool, null, null, coalesce(server, '') || '/' || tool, 'Tool calls',
    coalesce(server, '') || '/' || tool || '#' || cost_source, null, null, null, null, 1, 'Requests',
    cost_picos, json_object('agent', agent_id, 'team', team, 'feature', feature, 'customer', customer_id),
    null, null, agent_id, team, feature, customer_id, null, null, null, server, tool, cost_source, null, 1, null, null
  from tool_rows
  union all
  select
    substr(billing_period, 1, 7), starts, ends, day, substr(bill, instr(bill, ' ') + 1), account, provider, invoice_id,
    case category
      when 'usage' then 'Usage'
      when 'purchase' then 'Purchase'
      when 'fee' then 'Purchase'
      when 'tax' then 'Tax'
      when 'credit' then 'Credit'
      when 'discount' then 'Credit'
      else 'Adjustment'
    end,
    coalesce(description, usage_type, operation, service, category), coalesce(service, provider), resource_id, null,
    coalesce(usage_type, operation, service, category), coalesce(usage_type, operation, service, category),
    coalesce(usage_type, operation, service, category), null, null, null, null,
    coalesce(cast(quantity as real), 1) * coalesce(share, 0), iif(quantity is null, 'Charges', coalesce(unit, 'Units')),
    billed, tags, method,
    iif(method is null, null, json_object('Elements', json_array(
      json_object('AllocatedRatio', share, 'UsageUnit', iif(method = 'metered', 'Units', 'Weights'), 'UsageQuantity', weight)
    ))),
    agent_id, team, feature, customer_id, null, null, null, null, null, cost_source, null, calls, charge_id, reason
  from bill_rows
),
named as (
  select
    *,
    -- Up to 2^53 the division rounds once; above, the part in 4096ths is exact in binary: the nearest double at any size.
    iif(
      abs(billed) < 9007199254740992, billed / 1e12, billed / 244140625 / 4096.0 + billed % 244140625 / 1e12
    ) as cost,
    category in ('Usage', 'Purchase') as is_priced,
    case
      when service = 'Large language models' or service glob 'AmazonBedrock*' then 'Generative AI'
      when service = 'AmazonSageMaker' then 'Machine Learning'
      when service = 'AmazonS3' then 'Object Storage'
      when service = 'AmazonEFS' then 'File Storage'
      when service = 'AmazonRDS' then 'Relational Databases'
      when service = 'AmazonDynamoDB' then 'NoSQL Databases'
      when service = 'AmazonElastiCache' then 'Caching'
      when service = 'AWSLambda' then 'Serverless Compute'
      when service = 'AmazonEC2' then 'Virtual Machines'
      when service in ('AmazonECS', 'AmazonEKS') then 'Containers'
      when service = 'AmazonApiGateway' then 'API Management'
      when service in ('AWSQueueService', 'AmazonSNS') then 'Messaging'
      when service = 'AmazonCloudFront' then 'Content Delivery'
      when service = 'AmazonCloudWatch' then 'Observability'
      else 'Other (Other)'
    end as subcategory
  from rows_of_all
)
select
  cast(month || '-01T00:00:00Z' as text) as BillingPeriodStart,
  cast(coalesce(strftime('%Y-%m-%dT00:00:00Z', month || '-01', '+1 month'), '9999-12-31T23:59:59Z') as text) as BillingPeriodEnd,
  cast(starts as text) as ChargePeriodStart,
  cast(coalesce(ends, strftime('%Y-%m-%dT00:00:00Z', day, '+1 day'), '9999-12-31T23:59:59Z') as text) as ChargePeriodEnd,
  cast(payer as text) as BillingAccountId,
  cast(payer as text) as BillingAccountName,
  cast(account as text) as SubAccountId,
  cast(account as text) as SubAccountName,
  cast(provider as text) as ProviderName,
  cast(provider as text) as PublisherName,
  cast(provider as text) as InvoiceIssuerName,
  cast(invoice_id as text) as InvoiceId,
  cast(category as text) as ChargeCategory,
  cast(null as text) as ChargeClass,
  cast(description as text) as ChargeDescription,
  cast(iif(category = 'Usage', 'Usage-Based', 'One-Time') as text) as ChargeFrequency,
  cast(case subcategory
    when 'Generative AI' then 'AI and Machine Learning'
    when 'Machine Learning' then 'AI and Machine Learning'
    when 'Object Storage' then 'Storage'
    when 'File Storage' then 'Storage'
    when 'Relational Databases' then 'Databases'
    when 'NoSQL Databases' then 'Databases'
    when 'Caching' then 'Databases'
    when 'Serverless Compute' then 'Compute'
    when 'Virtual Machines' then 'Compute'
    when 'Containers' then 'Compute'
    when 'API Management' then 'Integration'
    when 'Messaging' then 'Integration'
    when 'Content Delivery' then 'Networking'
    when 'Observability' then 'Management and Governance'
    else 'Other'
  end as text) as ServiceCategory,
  cast(subcategory as text) as ServiceSubcategory,
  cast(service as text) as ServiceName,
  cast(resource_id as text) as ResourceId,
  cast(region as text) as RegionId,
  cast(region as text) as RegionName,
  cast(iif(category = 'Tax', null, sku) as text) as SkuId,
  cast(iif(category = 'Tax', null, meter) as text) as SkuMeter,
  cast(iif(category = 'Tax', null, sku_price) as text) as SkuPriceId,
  cast(details as text) as SkuPriceDetails,
  cast(iif(category = 'Tax', null, 'Standard') as text) as PricingCategory,
  -- Without a unit price, a dollar is the unit: quantity times price is then the cost as well.
  cast(iif(is_priced, coalesce(priced, cost), null) as real) as PricingQuantity,
  cast(iif(is_priced, iif(priced is null, 'USD', priced_unit), null) as text) as PricingUnit,
  cast(iif(category = 'Usage', consumed, null) as real) as ConsumedQuantity,
  cast(iif(category = 'Usage', consumed_unit, null) as text) as ConsumedUnit,
  cast(iif(is_priced, iif(priced is null, 1, unit_picos / 1e12), null) as real) as ListUnitPrice,
  cast(iif(is_priced, iif(priced is null, 1, unit_picos / 1e12), null) as real) as ContractedUnitPrice,
  cast(cost as real) as BilledCost,
  cast(cost as real) as ListCost,
  cast(cost as real) as ContractedCost,
  cast(iif(category = 'Purchase', 0, cost) as real) as EffectiveCost,
  cast('USD' as text) as BillingCurrency,
  cast(tags as text) as Tags,
  cast(method as text) as AllocatedMethodId,
  cast(method_details as text) as AllocatedMethodDetails,
  cast(agent_id as text) as x_AgentId,
  cast(team as text) as x_Team,
  cast(feature as text) as x_Feature,
  cast(customer_id as text) as x_CustomerId,
  cast(model as text) as x_Model,
  cast(service_tier as text) as x_ServiceTier,
  cast(token_type as text) as x_TokenType,
  cast(server as text) as x_Server,
  cast(tool as text) as x_Tool,
  cast(cost_source as text) as x_CostSource,
  cast(price_source as text) as x_PriceSource,
  cast(tool_calls as integer) as x_AuditCalls,
  cast(charge_id as text) as x_ChargeId,
  cast(reason as text) as x_UnallocatedReason,
  cast(iif(is_priced, iif(priced is null, 1000000000000, unit_picos), null) as integer) as x_UnitPicos,
  cast(billed as integer) as x_BilledPicos
from named
