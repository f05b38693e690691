/*
Which moment do the views of budgets and directives look from? The present, unless this file is a picture of an earlier moment, as the demo is.

Grain: one row.
Reads: ledger_meta.

now  text  ISO 8601 UTC
*/
select
  cast(coalesce(
    (select value from ledger_meta where key = 'stands_at'),
    strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
  ) as text) as now
