from __future__ import annotations

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger) -> None:
    ledger.assign("a", team="one")
    ledger.assign("a", team="two", valid_from="2026-02-01")
    ledger.assign("a", team="three", valid_from="2026-03-01")
    ledger.assign("a", team="corrected", valid_from="2026-02-01")
    ledger.assign("b", feature="f", owner="o", valid_from="2026-01-01")
    assert [tuple(row.values()) for row in ledger.rows("assignment")] == [
        ("a", "0001-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z", "one", None, None),
        ("a", "2026-02-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z", "corrected", None, None),
        ("a", "2026-03-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "three", None, None),
        ("b", "2026-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", None, "f", "o"),
    ]
