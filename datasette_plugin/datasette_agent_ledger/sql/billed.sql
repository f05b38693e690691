/*
How far do the bills of the clouds reach?

The end of the last day, or of the last period, whose use a bill covers.

Reads: billed_charge.
Shows: coverage.
*/
select
  coalesce(
    max(iif(category = 'usage' and julianday(period_end) - julianday(period_start) < 1.5, period_end, null)),
    max(iif(category = 'usage', period_end, null))
  ) as billed_through,
  coalesce(sum(cost_picos is null), 0) as unconverted_charges
from billed_charge
where kind = 'cloud'
