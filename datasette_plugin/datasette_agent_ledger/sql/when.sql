/*
From when to when are there calls, and how many are in the sums?

Reads: usage_cost, compacted.
*/
select min(first_ts) as first_ts, max(last_ts) as last_ts, (select ledger_row from compacted) as summed_calls
from usage_cost
where grain in ('month', 'call')
