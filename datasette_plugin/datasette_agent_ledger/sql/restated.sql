/*
What has changed since they were closed, and why?

The totals of all closed months, and the keys whose figures differ.

Reads: restatement.
*/
select
  month, axis, nullif(key, '') as key, closed_usd, restated_usd, difference_usd, calls_difference, tool_calls_difference, cause
from restatement
order by month desc, axis <> 'total', axis, abs(difference_usd) desc
