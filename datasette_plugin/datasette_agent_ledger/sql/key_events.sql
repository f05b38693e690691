/*
What did the control loop see and do here?

The latest 20 events; each names the one that led to it.

Reads: control_event.
*/
select ts, phase, verdict, json_extract(detail, '$.text') as detail, budget, id, cause
from control_event
where scope = :scope and key = :key
order by id desc
limit 20
