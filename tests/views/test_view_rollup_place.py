from __future__ import annotations

from support import call, price, query

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.set_prices([price(input=1, output=1, effective_from="2026-01-15T11:30:00.000Z")])
    ledger.assign("a", team="x", valid_from="2026-01-15T12:00:00.000Z")
    ledger.record_call(**call(customer_id="acme", ts="2026-01-15T12:40:00.000Z"))
    ledger.compact()
    price_on, team_on = "2026-01-15T11:30:00.000Z", "2026-01-15T12:00:00.000Z"
    found = query(ledger, "select grain, bucket, cut, customer_id from rollup_place where id = 1 order by 1")
    assert found == [
        ("agent_customer", "2026-01-15", team_on, "acme"),
        ("customer_day", "2026-01-15", price_on, "acme"),
        ("customer_month", "2026-01", price_on, "acme"),
        ("day", "2026-01-15", team_on, ""),
        ("hour", "2026-01-15T12", "", ""),
        ("month", "2026-01", team_on, ""),
    ]
    held = "select grain, key_id, bucket, cut, customer_id from usage_rollup order by 1"
    assert query(ledger, held) == query(
        ledger, "select grain, key_id, bucket, cut, customer_id from rollup_place order by 1"
    )
