/*
Does the ledger agree with the invoices of one month, model by model?

month as in 2026-10.

Reads: reconciliation_by_model.
*/
select provider, model, calls, ledger_tokens, reported_tokens, ledger_usd, invoiced_usd, difference_usd
from reconciliation_by_model
where month = :month
order by provider, abs(difference_usd) desc
