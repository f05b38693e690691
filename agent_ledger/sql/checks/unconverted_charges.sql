/* Which lines of bills are in a currency that nobody has a rate for? They are in no total. */
select
  bill || ' ' || billing_period || ', ' || count(*) || iif(count(*) = 1, ' line in ', ' lines in ') || currency as subject,
  'it has no exchange rate from ' || substr(min(period_start), 1, 10) || ' on: run agent-ledger rate LEDGER set ' || currency || ' USD' as problem
from billed_charge
where cost_picos is null
group by bill, billing_period, currency
