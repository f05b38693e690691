/* Which calls have token counts that do not add up, so that their cost is estimated? */
select
  request_id as subject,
  anomaly as problem
from usage
where anomaly is not null
