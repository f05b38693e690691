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
    day = {"period_start": "2026-01-16T00:00:00.000Z", "period_end": "2026-01-17T00:00:00.000Z"}
    bill(book, {"cost": "9.5", **day}, {"cost": "3", **day, "currency": "GBP"}, name="corrected")
    columns = ("day", "calls", "ledger_tokens", "reported_tokens", "ledger_usd", "invoiced_usd", "difference_usd")
    assert [tuple(row[name] for name in columns) for row in book.rows("reconciliation_by_day")] == [
        ("2026-01-15", 1, 1_000_000, 1_000_000, 10.0, None, None),
        ("2026-01-16", 1, 1_000_000, 1_000_000, 10.0, 9.5, -0.5),
    ]


def test_a_line_for_a_month_stands_on_its_first_day(book: Ledger) -> None:
    first, *_ = book.rows("reconciliation_by_day")
    assert (first["day"], first["calls"], first["invoiced_usd"]) == ("2026-01-01", 0, 22.0)
