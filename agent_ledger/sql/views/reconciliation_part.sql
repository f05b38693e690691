/*
What is the difference between the ledger and the invoice made of? Here the residuals are defined; reconciliation adds them up.

ledger            the calls at the ledger's prices
invoiced          the lines of the provider's bill
unrecorded_usage  tokens that the provider counts and the ledger has not, at the ledger's average cost per token of that
                  model; or all that is billed for a model that the ledger never saw. Negative: the ledger has more
unpriced_models   what is billed for calls that the ledger has no price for
price_difference  the rest where the tokens agree: another price
discounts_credits credits, refunds and discounts of the bill
timing            calls before or after the time that the provider's bills cover: not billed yet
rounding          a rest below what rounding of the billed lines can explain
other             what has no such explanation, as far as the bill and the usage reports say
reported_usage    no money: the tokens that the provider counts

Grain: one row per provider, month, model and part; parts that are not known have no row.
Reads: reconciliation_entry.
Sums to: ledger + all residuals = invoiced, exactly, per provider and month that has a bill.

provider       text     Who bills
month          text     UTC month, YYYY-MM
model          text     As in the ledger, else in the report or on the bill, or (not named)
part           text     One of the above
entries        integer  Calls or lines. NULL: a residual
unvalued       integer  Of them, those without a price or an exchange rate: in no amount. NULL: a residual
tokens         integer  Input and output together. NULL: not said
cost_4096ths   integer  Exactly, first part: whole 4096ths of a dollar. NULL: no money
cost_picos     integer  Second part: the remaining pico-dollars (1e-12 USD)
*/
with entry as (
  select * from reconciliation_entry
),
reported_day as (
  select distinct provider, day from entry where entry = 'usage' and tokens is not null
),
situated as (
  select
    entry.*,
    entry.entry = 'call' as is_call,
    entry.entry = 'charge' as is_charge,
    entry.entry = 'charge' and category = 'usage' as is_billed,
    entry.entry = 'usage' and tokens is not null as is_reported,
    reported_day.day is not null as covered,
    cost_4096ths + cost_picos / 244140625 as cost_whole,
    cost_picos % 244140625 as cost_rest
  from entry
  left join reported_day using (provider, day)
),
summed as (
  select
    provider,
    month,
    model_key,
    coalesce(min(iif(is_call, model, null)), min(iif(is_reported, model, null)), min(model)) as model,
    sum(iif(is_call, calls, 0)) as calls,
    sum(iif(is_call and cost_picos is null, calls, 0)) as unpriced,
    sum(iif(is_call, tokens, 0)) as call_tokens,
    coalesce(sum(iif(is_call, cost_whole, 0)), 0) as ledger_4096ths,
    coalesce(sum(iif(is_call, cost_rest, 0)), 0) as ledger_picos,
    coalesce(sum(iif(is_call and not inside, cost_whole, 0)), 0) as late_4096ths,
    coalesce(sum(iif(is_call and not inside, cost_rest, 0)), 0) as late_picos,
    sum(iif(is_call and inside, calls, 0)) as inside_calls,
    sum(iif(is_call and inside and cost_picos is null, calls, 0)) as inside_unpriced,
    sum(iif(is_call and inside, tokens, 0)) as inside_tokens,
    sum(iif(is_call and inside and cost_picos is not null, tokens, 0)) as priced_tokens,
    sum(iif(is_call and inside and covered, tokens, 0)) as covered_tokens,
    sum(is_reported) as reports,
    sum(iif(is_reported and inside, tokens, 0)) as reported_tokens,
    sum(is_charge) as lines,
    sum(is_charge and cost_picos is null) as unconverted,
    sum(is_billed) as billed_lines,
    sum(is_billed and tokens is null and coalesce(token_type, '') <> 'web_search') as unmetered_lines,
    sum(iif(is_billed, coalesce(tokens, 0), 0)) as metered_tokens,
    coalesce(sum(iif(is_charge, cost_whole, 0)), 0) as invoiced_whole,
    coalesce(sum(iif(is_charge, cost_rest, 0)), 0) as invoiced_rest,
    coalesce(sum(iif(is_billed, cost_whole, 0)), 0) as billed_whole,
    coalesce(sum(iif(is_billed, cost_rest, 0)), 0) as billed_rest,
    coalesce(sum(iif(category in ('credit', 'refund', 'discount'), cost_whole, 0)), 0) as credit_whole,
    coalesce(sum(iif(category in ('credit', 'refund', 'discount'), cost_rest, 0)), 0) as credit_rest,
    max(decimals) as decimals
  from situated
  group by 1, 2, 3
),
divided_alike as (
  -- The same amount is always the same two numbers, however many rows it is the sum of.
  select
    *,
    ledger_4096ths + ledger_picos / 244140625 as ledger_whole,
    ledger_picos % 244140625 as ledger_rest,
    late_4096ths + late_picos / 244140625 as late_whole,
    late_picos % 244140625 as late_rest
  from summed
),
together as (
  select
    *,
    (ledger_whole - late_whole) / 4096.0 * 1e12 + (ledger_rest - late_rest) as inside_picos,
    sum(lines - unconverted) over provider_month as month_lines,
    sum(billed_lines) over provider_month as month_billed_lines,
    sum(iif(model_key = '(not named)', reports, 0)) over provider_month as month_unnamed,
    sum(reported_tokens) over provider_month as month_reported,
    sum(covered_tokens) over provider_month as month_covered,
    sum(priced_tokens) over provider_month as month_priced,
    sum((ledger_whole - late_whole) / 4096.0 * 1e12 + (ledger_rest - late_rest)) over provider_month as month_picos,
    sum(inside_calls > 0 and billed_lines = 0) over provider_month as month_unmatched,
    -- What half of the last digit of a billed line is worth, in dollars; a bill shows cents at least.
    0.5 * cast('1e-' || max(coalesce(max(decimals) over provider_month, 0), 2) as real) as half_digit
  from divided_alike
  window provider_month as (partition by provider, month)
),
compared as (
  select
    *,
    case
      when month_unnamed > 0 then iif(model_key = '(not named)', month_reported, null)
      when reports > 0 then reported_tokens
      when billed_lines > 0 and unmetered_lines = 0 and model_key <> '(not named)' then metered_tokens
    end as their_count,
    case when month_unnamed > 0 then month_covered when reports > 0 then covered_tokens else inside_tokens end as our_count,
    -- What a token costs on the average, in pico-dollars.
    iif(
      month_unnamed > 0 and model_key = '(not named)',
      month_picos / nullif(month_priced, 0),
      inside_picos / nullif(priced_tokens, 0)
    ) as average,
    model_key <> '(not named)' and billed_lines > 0 as named_on_bill
  from together
),
estimated as (
  select
    *,
    named_on_bill and inside_calls = 0 and month_unnamed = 0 and (reports > 0 or month_unmatched = 0) as never_recorded,
    named_on_bill and inside_unpriced > 0 and inside_unpriced = inside_calls as never_priced,
    cast(round(average * (their_count - our_count)) as integer) as missing_picos,
    iif(inside_unpriced = 0, 0, cast(round(average * (inside_tokens - priced_tokens)) as integer)) as unpriced_picos
  from compared
),
divided as (
  select
    *,
    case when never_recorded then billed_whole when never_priced then null else missing_picos / 244140625 end as missing_whole,
    case when never_recorded then billed_rest when never_priced then null else missing_picos % 244140625 end as missing_rest,
    case when never_priced then billed_whole else unpriced_picos / 244140625 end as unpriced_whole,
    case when never_priced then billed_rest else unpriced_picos % 244140625 end as unpriced_rest
  from estimated
),
remaining as (
  select
    *,
    billed_whole - ledger_whole + late_whole - coalesce(missing_whole, 0) - coalesce(unpriced_whole, 0) as left_whole,
    billed_rest - ledger_rest + late_rest - coalesce(missing_rest, 0) - coalesce(unpriced_rest, 0) as left_rest
  from divided
),
judged as (
  select
    *,
    named_on_bill and inside_calls > 0 and their_count is not null and our_count = inside_tokens and month_unnamed = 0 as same_tokens,
    abs(left_whole / 4096.0 + left_rest / 1e12) <= billed_lines * half_digit as is_small
  from remaining
),
named as (
  select
    *,
    case when named_on_bill and is_small then 'rounding' when same_tokens then 'price' else 'other' end as remainder
  from judged
),
other as (
  select
    *,
    -- Taxes and fees on such lines are here too.
    invoiced_whole - billed_whole - credit_whole + iif(remainder = 'other', left_whole, 0) as other_whole,
    invoiced_rest - billed_rest - credit_rest + iif(remainder = 'other', left_rest, 0) as other_rest
  from named
),
settled as (
  select
    *,
    -- A bill that names no models agrees with the ledger as a whole only.
    abs(
      sum(other_whole) over provider_month / 4096.0 + sum(other_rest) over provider_month / 1e12
    ) <= month_billed_lines * half_digit as agrees
  from other
  window provider_month as (partition by provider, month)
),
part as (
  select 'ledger' as part
  union all select 'invoiced'
  union all select 'reported_usage'
  union all select 'unrecorded_usage'
  union all select 'unpriced_models'
  union all select 'price_difference'
  union all select 'discounts_credits'
  union all select 'timing'
  union all select 'rounding'
  union all select 'other'
),
parts as (
  select
    settled.*,
    part,
    case part when 'ledger' then calls when 'invoiced' then lines end as entries,
    case part when 'ledger' then unpriced when 'invoiced' then unconverted end as unvalued,
    case part when 'ledger' then call_tokens when 'reported_usage' then their_count end as tokens,
    case part
      when 'ledger' then ledger_whole
      when 'invoiced' then iif(lines > unconverted, invoiced_whole, null)
      when 'unrecorded_usage' then missing_whole
      when 'unpriced_models' then unpriced_whole
      when 'price_difference' then iif(remainder = 'price', left_whole, 0)
      when 'discounts_credits' then credit_whole
      when 'timing' then -late_whole
      when 'rounding' then iif(remainder = 'rounding', left_whole, 0) + iif(agrees, other_whole, 0)
      when 'other' then iif(agrees, 0, other_whole)
    end as part_whole,
    case part
      when 'ledger' then ledger_rest
      when 'invoiced' then iif(lines > unconverted, invoiced_rest, null)
      when 'unrecorded_usage' then missing_rest
      when 'unpriced_models' then unpriced_rest
      when 'price_difference' then iif(remainder = 'price', left_rest, 0)
      when 'discounts_credits' then credit_rest
      when 'timing' then -late_rest
      when 'rounding' then iif(remainder = 'rounding', left_rest, 0) + iif(agrees, other_rest, 0)
      when 'other' then iif(agrees, 0, other_rest)
    end as part_rest
  from settled
  cross join part
)
select
  cast(provider as text) as provider,
  cast(month as text) as month,
  cast(model as text) as model,
  cast(part as text) as part,
  cast(entries as integer) as entries,
  cast(unvalued as integer) as unvalued,
  cast(tokens as integer) as tokens,
  cast(part_whole as integer) as cost_4096ths,
  cast(part_rest as integer) as cost_picos
from parts
where case part
  when 'ledger' then calls > 0
  when 'invoiced' then lines > 0
  when 'reported_usage' then tokens is not null
  when 'price_difference' then month_lines > 0 and same_tokens
  else month_lines > 0 and part_whole is not null
end
