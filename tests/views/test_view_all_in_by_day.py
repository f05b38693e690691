from __future__ import annotations

from billed import all_in_rows, billed

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    billed(ledger)
    assert all_in_rows(ledger, "day") == {
        "2026-01-01": (0, 0, 0.0, -0.5, -0.5, 0, 0),
        "2026-01-31": (1, 1, 0.00025, 0.5, 0.50025, 0, 0),
        "2026-02-01": (2, 2, 0.0003, 3.0, 3.0003, 1, 0),
        "2026-02-02": (1, 1, None, None, None, 1, 1),
    }


def test_an_empty_ledger_has_no_rows(ledger: Ledger) -> None:
    assert ledger.rows("all_in_by_day") == []
