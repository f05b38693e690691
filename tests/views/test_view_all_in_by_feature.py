from __future__ import annotations

from billed import all_in_rows, billed

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    billed(ledger)
    assert all_in_rows(ledger, "feature") == {
        "search": (2, 1, 0.00055, 0.5, 0.50055, 0, 0),
        "chat": (1, 1, None, 0.75, 0.75, 1, 0),
        "(unattributed)": (1, 2, None, 0.25, 0.25, 1, 1),
        "(unallocated)": (0, 0, 0.0, 1.5, 1.5, 0, 0),
    }


def test_an_empty_ledger_has_no_rows(ledger: Ledger) -> None:
    assert ledger.rows("all_in_by_feature") == []
