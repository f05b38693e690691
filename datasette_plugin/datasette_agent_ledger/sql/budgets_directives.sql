/*
What is the runtime told to do now?

Reads: directive_in_force.
*/
select valid_from, valid_until, scope, key, action, throttle_to, budget, reason
from directive_in_force
order by valid_from desc
