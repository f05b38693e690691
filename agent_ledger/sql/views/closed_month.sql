/*
Which months are closed, and how far did the ledger reach then?

Grain: one row per month that was closed and not opened again since.
Reads: period_close.

close_id              integer  period_close.id, closed_figure.close_id
month                 text     UTC month, YYYY-MM
starts                text     Its first moment, ISO 8601 UTC
ends                  text     The first moment after it
closed_at             text     When it was closed, ISO 8601 UTC
closed_by             text     NULL: not said
reason                text     NULL: not said
digest                text     SHA-256 (hex) of the closed figures
ledger_row            integer  The last ledger.id at the close; 0: there was none
audit_row             integer  The last audit.id
delivery_row          integer  The last delivery.id
charge_row            integer  The last charge.id
price_revision_row    integer  The last price_revision.id
tool_price_row        integer  The last tool_price.id
exchange_rate_row     integer  The last exchange_rate.id
agent_assignment_row  integer  The last agent_assignment.id
allocation_rule_row   integer  The last allocation_rule.id
*/
select
  cast(id as integer) as close_id,
  month,
  cast(month || '-01T00:00:00.000Z' as text) as starts,
  cast(strftime('%Y-%m-%dT%H:%M:%fZ', month || '-01', '+1 month') as text) as ends,
  cast(recorded_at as text) as closed_at,
  cast(recorded_by as text) as closed_by,
  reason,
  digest,
  ledger_row,
  audit_row,
  delivery_row,
  charge_row,
  price_revision_row,
  tool_price_row,
  exchange_rate_row,
  agent_assignment_row,
  allocation_rule_row
from period_close
where event = 'close'
  and id = (select max(id) from period_close as latest where latest.month = period_close.month)
