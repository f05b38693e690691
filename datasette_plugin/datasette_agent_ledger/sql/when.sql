/*
From when to when are there calls?

Reads: usage_cost.
*/
select min(first_ts) as first_ts, max(last_ts) as last_ts
from usage_cost
where grain in ('month', 'call')
