from __future__ import annotations

from billed import all_in_rows, billed

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    billed(ledger)
    assert all_in_rows(ledger, "agent") == {
        "a": (3, 2, 0.00055, 1.25, 1.25055, 1, 0),
        "b": (1, 1, None, 0.25, 0.25, 1, 0),
        "(unattributed)": (0, 1, 0.0, None, None, 0, 1),
        "(unallocated)": (0, 0, 0.0, 1.5, 1.5, 0, 0),
    }


def test_an_empty_ledger_has_no_rows(ledger: Ledger) -> None:
    assert ledger.rows("all_in_by_agent") == []
