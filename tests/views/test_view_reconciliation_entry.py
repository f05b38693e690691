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
    columns = ("entry", "day", "agent_id", "model", "category", "tokens", "cost_picos", "decimals")
    found = sorted((tuple(row[name] for name in columns) for row in book.rows("reconciliation_entry")), key=str)
    assert found == [
        ("call", "2026-01-15", "a", "m", None, 1_000_000, 10 * 10**12, None),
        ("call", "2026-01-16", "b", "m", None, 1_000_000, 10 * 10**12, None),
        ("charge", "2026-01-01", None, "(not named)", "credit", None, -(10**12), 0),
        ("charge", "2026-01-01", None, "m", "usage", None, 21 * 10**12, 0),
        ("charge", "2026-01-01", None, "z", "usage", None, 2 * 10**12, 0),
        ("usage", "2026-01-15", None, "m", None, 1_000_000, None, None),
        ("usage", "2026-01-16", None, "m", None, 1_000_000, None, None),
    ]


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("Claude Sonnet 4.5", "claude-sonnet-4-5"),
        ("m[1m]", "m"),
        ("o-20", "o-20"),
        ("-20250929", "-20250929"),
    ],
)
def test_what_names_of_one_model_have_in_common(ledger: Ledger, model: str, key: str) -> None:
    used(ledger, model)
    [row] = ledger.rows("reconciliation_entry")
    assert (row["model"], row["model_key"]) == (model, key)


@pytest.mark.parametrize(
    ("quantity", "unit", "tokens"),
    [
        ("17.33", "1K tokens", 17_330),
        ("5", "tokens", 5),
        ("5", "1000_tokens", 5_000),
        ("1.5", "1M Tokens", 1_500_000),
        ("2", "1,000 tokens", 2_000),
        ("3", "images", None),
        (None, "tokens", None),
    ],
)
def test_quantities_of_tokens(ledger: Ledger, quantity: str | None, unit: str, tokens: int | None) -> None:
    bill(ledger, {"cost": "1.25", "quantity": quantity, "unit": unit})
    [row] = ledger.rows("reconciliation_entry")
    assert (row["tokens"], row["decimals"]) == (tokens, 2)


def test_a_later_report_counts_instead(book: Ledger) -> None:
    report(book, {"m": 7}, name="corrected")
    assert [row["tokens"] for row in book.rows("reconciliation_entry") if row["entry"] == "usage"] == [7]
