/*
Does the ledger agree with the invoice? Where not, how much of the difference has which explanation?

difference_usd is the sum of the residuals beside it; what they mean stands in reconciliation_part.

Grain: one row per provider and month with calls or with a bill for tokens.
Reads: reconciliation_part.
Sums to: call_cost, and the lines of kind llm of billed_charge, exactly.

provider                text     Who bills: aws for Bedrock. (unattributed): the calls do not say
month                   text     UTC month, YYYY-MM
calls                   integer  Inferences in the ledger
unpriced_calls          integer  Those without a price, so not in ledger_usd
ledger_usd              real     US dollars at the ledger's prices. NULL: no call is priced
invoiced_usd            real     US dollars on the provider's bill. NULL: no bill, or none that can be converted
unconverted_lines       integer  Lines in a currency without exchange rate, so not in invoiced_usd
difference_usd          real     invoiced_usd - ledger_usd, what is not priced as 0. NULL: no bill
unrecorded_usage_usd    real     Used and not recorded; negative: the ledger has more. NULL: no report says
unpriced_models_usd     real     Calls that the ledger has no price for. NULL: not known
price_difference_usd    real     Same tokens, other price. NULL: the bill does not say for what
discounts_credits_usd   real     Credits, refunds and discounts on the bill
timing_usd              real     Calls outside of the time that the bills cover, negative
rounding_usd            real     What rounding of the lines explains
other_usd               real     Not explained
explained_share         real     Of all residuals, by size, those that are not other: 0 to 1. NULL: no bill
*/
with summed as (
  select
    provider,
    month,
    iif(adds_up, 'difference', part) as part,
    sum(entries) as entries,
    sum(unvalued) as unvalued,
    sum(cost_4096ths) as whole,
    sum(cost_picos) as rest
  from reconciliation_part
  cross join (select 0 as adds_up union all select 1)
  where not adds_up or part not in ('ledger', 'invoiced', 'reported_usage')
  group by 1, 2, 3
),
valued as (
  select
    *,
    -- The nearest double, see daily_cost.
    iif(
      abs(whole + rest / 244140625) < 36893488,
      (whole * 244140625 + rest) / 1e12,
      (whole + rest / 244140625) / 4096.0 + rest % 244140625 / 1e12
    ) as usd
  from summed
),
pivoted as (
  select
    provider,
    month,
    coalesce(sum(iif(part = 'ledger', entries, 0)), 0) as calls,
    coalesce(sum(iif(part = 'ledger', unvalued, 0)), 0) as unpriced_calls,
    iif(sum(part = 'ledger') = 0, 0.0, max(iif(part = 'ledger' and entries > unvalued, usd, null))) as ledger_usd,
    max(iif(part = 'invoiced', usd, null)) as invoiced_usd,
    coalesce(sum(iif(part = 'invoiced', unvalued, 0)), 0) as unconverted_lines,
    max(iif(part = 'difference', usd, null)) as difference_usd,
    max(iif(part = 'unrecorded_usage', usd, null)) as unrecorded_usage_usd,
    max(iif(part = 'unpriced_models', usd, null)) as unpriced_models_usd,
    max(iif(part = 'price_difference', usd, null)) as price_difference_usd,
    max(iif(part = 'discounts_credits', usd, null)) as discounts_credits_usd,
    max(iif(part = 'timing', usd, null)) as timing_usd,
    max(iif(part = 'rounding', usd, null)) as rounding_usd,
    max(iif(part = 'other', usd, null)) as other_usd,
    sum(iif(part in ('ledger', 'invoiced', 'difference'), 0, abs(usd))) as residuals_usd
  from valued
  group by 1, 2
)
select
  cast(provider as text) as provider,
  cast(month as text) as month,
  cast(calls as integer) as calls,
  cast(unpriced_calls as integer) as unpriced_calls,
  cast(ledger_usd as real) as ledger_usd,
  cast(invoiced_usd as real) as invoiced_usd,
  cast(unconverted_lines as integer) as unconverted_lines,
  cast(difference_usd as real) as difference_usd,
  cast(unrecorded_usage_usd as real) as unrecorded_usage_usd,
  cast(unpriced_models_usd as real) as unpriced_models_usd,
  cast(price_difference_usd as real) as price_difference_usd,
  cast(discounts_credits_usd as real) as discounts_credits_usd,
  cast(timing_usd as real) as timing_usd,
  cast(rounding_usd as real) as rounding_usd,
  cast(other_usd as real) as other_usd,
  cast(iif(invoiced_usd is null, null, iif(residuals_usd = 0, 1, 1 - abs(other_usd) / residuals_usd)) as real) as explained_share
from pivoted
where calls > 0 or invoiced_usd is not null or unconverted_lines > 0
