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
    found = {
        (row["model"], row["part"]): (row["cost_4096ths"], row["cost_picos"])
        for row in book.rows("reconciliation_part")
        if row["cost_4096ths"] or row["cost_picos"]
    }
    assert found == {
        ("m", "ledger"): (20 * 4096, 0),
        ("m", "invoiced"): (21 * 4096, 0),
        ("m", "price_difference"): (4096, 0),
        ("z", "invoiced"): (2 * 4096, 0),
        ("z", "unrecorded_usage"): (2 * 4096, 0),
        ("(not named)", "invoiced"): (-4096, 0),
        ("(not named)", "discounts_credits"): (-4096, 0),
    }


def test_what_is_counted_stands_beside_it(book: Ledger) -> None:
    used(book, "unknown")
    rows = {(row["model"], row["part"]): row for row in book.rows("reconciliation_part")}
    assert [rows["m", "ledger"][name] for name in ("entries", "unvalued", "tokens")] == [2, 0, 2_000_000]
    assert [rows["unknown", "ledger"][name] for name in ("entries", "unvalued", "tokens")] == [1, 1, 1_000_000]
    assert [rows["m", "invoiced"][name] for name in ("entries", "unvalued", "tokens")] == [1, 0, None]
    assert rows["m", "reported_usage"]["tokens"] == 2_000_000


def test_without_a_bill_there_is_nothing_to_explain(ledger: Ledger) -> None:
    used(ledger)
    assert {row["part"] for row in ledger.rows("reconciliation_part")} == {"ledger"}
