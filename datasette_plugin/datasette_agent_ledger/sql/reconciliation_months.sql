/*
Does the ledger agree with the invoices?

One row per provider and month. The difference is the invoice less the ledger, and the sum of the residuals beside it.

Reads: reconciliation.
*/
select
  month, provider, ledger_usd, invoiced_usd, difference_usd, explained_share, unrecorded_usage_usd, unpriced_models_usd,
  price_difference_usd, discounts_credits_usd, timing_usd, rounding_usd, other_usd, calls, unpriced_calls
from reconciliation
order by month desc, provider
