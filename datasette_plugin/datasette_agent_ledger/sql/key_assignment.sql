/*
To which team, feature and owner did it belong, and when?

Reads: assignment.
*/
select valid_from, valid_to, team, feature, owner
from assignment
where agent_id = :key
order by valid_from desc
