from __future__ import annotations

from billed import all_in_rows, billed

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    billed(ledger)
    assert all_in_rows(ledger, "month") == {
        "2026-01": (1, 1, 0.00025, 0.0, 0.00025, 0, 0),
        "2026-02": (3, 3, 0.0003, 3.0, 3.0003, 2, 1),
    }


def test_an_empty_ledger_has_no_rows(ledger: Ledger) -> None:
    assert ledger.rows("all_in_by_month") == []
