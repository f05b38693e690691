/*
Which ids were recorded twice with different content?

One row counts, the other is kept beside it. Two programs may share an id: give each call its own.

Reads: request_conflicts.
*/
select kind, request_id, other_id, counted, rejected
from request_conflicts
order by rejected_row desc
limit 100
