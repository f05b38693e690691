/*
Which lines of bills count? Those of the latest delivery of each bill and billing period, in US dollars.

The view of that name in sql/views looks up the exchange rate of each line; here all are joined, for engines that can't look up.

Grain: one row per charge line that counts.
Reads: charge, delivery, exchange_rate.

id             integer  charge.id
charge_id      text     The bill's id of the line
bill           text     Whose bill: the provider and the paying account
billing_period text     YYYY-MM, or YYYY-MM-DD
period_start   text     Of the usage, ISO 8601 UTC
period_end     text     Not included
provider       text     aws, azure, google, anthropic, openai, …
account        text     The account that used it. NULL: not named
service        text     NULL: not named
resource_id    text     NULL: the line names no resource
operation      text     NULL: not named
usage_type     text     What is metered. NULL: not named
quantity       text     An exact decimal, in unit. NULL: not given
unit           text     NULL: not given
category       text     usage, tax, credit, refund, fee, purchase, discount or adjustment
kind           text     cloud, or llm: the tokens of a model, which are reconciled and not added to the ledger's cost
model          text     Of llm lines, where the bill names it. NULL: not named
token_type     text     Of llm lines, where the bill says it. NULL: not said
request_id     text     NULL: the line names no request
invoice_id     text     NULL: not named
tags           text     A JSON object. NULL: none
cost           text     An exact decimal, in currency
currency       text     ISO 4217
cost_usd       real     US dollars. NULL: no exchange rate is known for that day
cost_picos     integer  The same in pico-dollars (1e-12 USD)
*/
with offered as (
  select
    charge.id,
    exchange_rate.usd,
    row_number() over (
      partition by charge.id
      order by exchange_rate.effective_from desc, exchange_rate.id desc
    ) as choice
  from charge
  join exchange_rate on exchange_rate.currency = charge.currency
  where exchange_rate.effective_from <= charge.period_start
),
valued as (
  select
    charge.*,
    delivery.bill,
    delivery.billing_period,
    coalesce(
      charge.cost_picos, cast(round(cast(charge.cost as real) * offered.usd * 1e12) as integer)
    ) as picos
  from charge
  join delivery on delivery.id = charge.delivery_id
  left join offered on offered.id = charge.id and offered.choice = 1
  where delivery.id in (select max(id) from delivery group by bill, billing_period, content)
)
select
  id,
  charge_id,
  bill,
  billing_period,
  period_start,
  period_end,
  provider,
  account,
  service,
  resource_id,
  operation,
  usage_type,
  quantity,
  unit,
  category,
  kind,
  model,
  token_type,
  request_id,
  invoice_id,
  tags,
  cost,
  currency,
  cast(iif(
    abs(picos) < 9007199254740992, picos / 1e12, picos / 244140625 / 4096.0 + picos % 244140625 / 1e12
  ) as real) as cost_usd,
  cast(picos as integer) as cost_picos
from valued
