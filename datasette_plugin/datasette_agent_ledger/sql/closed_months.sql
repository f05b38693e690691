/*
Which months are closed?

Their figures are fixed as they were reported; the digest seals them.

Reads: closed_month.
*/
select month, closed_at, closed_by, reason, digest
from closed_month
order by month desc
