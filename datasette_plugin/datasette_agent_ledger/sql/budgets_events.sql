/*
What did the control loop detect, decide, do and verify?

The latest 50 events; cause is the id of the event before.

Reads: control_event.
*/
select id, ts, phase, scope, key, budget, cause, verdict, json_extract(detail, '$.text') as detail
from control_event
order by id desc
limit 50
