/* Which requests were recorded twice with different content? */
select
  coalesce(request_id, other_id) as subject,
  'row ' || counted_row || ' counts (' || counted || '), row ' || rejected_row || ' does not (' || rejected || ')' as problem
from request_conflicts
