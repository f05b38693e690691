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
    rows = {row.pop("model"): row for row in book.rows("reconciliation_by_model")}
    who = {"provider": "p", "month": "2026-01"}
    assert rows == {
        "m": who | {
            "calls": 2, "unpriced_calls": 0, "ledger_tokens": 2_000_000, "reported_tokens": 2_000_000,
            "ledger_usd": 20.0, "invoiced_usd": 21.0, "difference_usd": 1.0,
        },
        "z": who | {
            "calls": 0, "unpriced_calls": 0, "ledger_tokens": 0, "reported_tokens": None, "ledger_usd": None,
            "invoiced_usd": 2.0, "difference_usd": None,
        },
        "(not named)": who | {
            "calls": 0, "unpriced_calls": 0, "ledger_tokens": 0, "reported_tokens": None, "ledger_usd": None,
            "invoiced_usd": -1.0, "difference_usd": None,
        },
    }  # fmt: skip


def test_a_call_without_a_price_is_no_call_for_nothing(book: Ledger) -> None:
    used(book, "unknown")
    found = {row["model"]: row for row in book.rows("reconciliation_by_model")}["unknown"]
    assert (found["calls"], found["unpriced_calls"], found["ledger_usd"]) == (1, 1, None)


def test_the_rows_add_up_to_the_months(book: Ledger) -> None:
    [whole] = book.rows("reconciliation")
    rows = book.rows("reconciliation_by_model")
    for column in ("ledger_usd", "invoiced_usd", "calls"):
        assert sum(row[column] or 0 for row in rows) == whole[column]
