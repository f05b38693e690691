from __future__ import annotations

from support import axis_rows, spent

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    spent(ledger)
    assert axis_rows(ledger, "cost_by_team") == {
        "one": (1, 100, 10, 0.00025, 0),
        "two": (2, 200, 20, 0.0003, 1),
        "(unattributed)": (1, None, 5, None, 1),
    }


def test_an_empty_ledger_has_no_rows(ledger: Ledger) -> None:
    assert ledger.rows("cost_by_team") == []
