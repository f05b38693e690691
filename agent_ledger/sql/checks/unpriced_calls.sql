/* Which calls have no cost? Their money is missing from every total. */
select
  model || ', ' || calls || iif(calls = 1, ' call', ' calls') as subject,
  reason as problem
from unpriced_calls
