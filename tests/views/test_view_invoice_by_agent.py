from __future__ import annotations

import pytest
from invoiced import bill, priced, report, used

from agent_ledger import Ledger


@pytest.fixture
def book(ledger: Ledger, no_sources: None) -> Ledger:  # noqa: ARG001
    """Model m at $10 per million tokens; what the ledger has, the bill has, and a model z that only the bill has."""
    priced(ledger, m=10)
    used(ledger)
    used(ledger, agent_id="b", ts="2026-01-16T00:00:00Z")
    bill(ledger, {"cost": "21", "model": "m"}, {"cost": "2", "model": "z"}, {"cost": "-1", "category": "credit"})
    report(ledger, {"m": 1_000_000}, days=(15, 16))
    return ledger


def test_given_rows_expected_rows(book: Ledger) -> None:
    rows = [tuple(row.values()) for row in book.rows("invoice_by_agent")]
    assert rows == [
        ("p", "2026-01", "(unattributed)", 0, 0, 2.0),
        ("p", "2026-01", "a", 1, 0, 10.0),
        ("p", "2026-01", "b", 1, 0, 10.0),
    ]


def test_they_add_up_to_the_invoice(book: Ledger) -> None:
    used(book, agent_id="(unattributed)")
    used(book, "unknown", agent_id="c")
    [whole] = book.rows("reconciliation")
    rows = {row["agent_id"]: row for row in book.rows("invoice_by_agent")}
    assert sum(row["cost_usd"] for row in rows.values()) == whole["invoiced_usd"] == 22.0
    assert (rows["(unattributed)"]["calls"], rows["(unattributed)"]["cost_usd"]) == (1, 2.0)
    assert (rows["c"]["unpriced_calls"], rows["c"]["cost_usd"]) == (1, 0.0)


def test_without_a_bill_there_is_no_invoice_to_divide(ledger: Ledger) -> None:
    used(ledger)
    assert ledger.rows("invoice_by_agent") == []
