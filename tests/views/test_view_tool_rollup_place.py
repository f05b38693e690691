from __future__ import annotations

from support import call, query, tool_call

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.set_tool_price("t", "0.5", effective_from="2026-01-15T11:30:00Z")
    ledger.assign("a", team="x", valid_from="2026-01-15T12:00:00Z")
    ledger.record_call(**call(customer_id="acme"))
    ledger.record_tool_call(**tool_call(ts="2026-01-15T12:40:00.000Z"))
    ledger.compact()
    price_on, team_on = "2026-01-15T11:30:00.000Z", "2026-01-15T12:00:00.000Z"
    assert query(ledger, "select grain, bucket, cut, customer_id from tool_rollup_place order by 1") == [
        ("agent_customer", "2026-01-15", team_on, "acme"),
        ("customer_day", "2026-01-15", price_on, "acme"),
        ("customer_month", "2026-01", price_on, "acme"),
        ("day", "2026-01-15", team_on, ""),
        ("hour", "2026-01-15T12", "", ""),
        ("month", "2026-01", team_on, ""),
    ]
    columns = "select grain, key_id, bucket, cut, customer_id"
    held = query(ledger, f"{columns} from tool_rollup order by 1")
    assert held == query(ledger, f"{columns} from tool_rollup_place order by 1")
