from __future__ import annotations

from typing import Any

import pytest
from support import add_prices, price

from agent_ledger import Ledger

BASE: dict[str, Any] = {"input": 3_000_000, "output": 15_000_000}


def test_given_rows_expected_rows(ledger: Ledger) -> None:
    add_prices(
        ledger,
        price(source="x", priority=50, **BASE, cache_read=300_000),
        price(source="y", priority=40, input=2_000_000, output=15_000_000, cache_read=300_000),
        price(source="z", priority=40, **BASE),
    )
    rows = ledger.rows("price_disagreements")
    assert sorted((tuple(row.values()) for row in rows), key=str) == [
        ("m", None, None, None, None, "x", 3.0, 15.0, "y", 2.0, 15.0, "input cache_write"),
        ("m", None, None, None, None, "x", 3.0, 15.0, "z", 3.0, 15.0, "cache_read"),
        ("m", None, None, None, None, "y", 2.0, 15.0, "z", 3.0, 15.0, "input cache_read cache_write"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"cache_read": 3_000_000},
        {"input": 1, "model": "n"},
        {"input": 1, "provider": "p"},
        {"input": 1, "service_tier": "batch"},
        {"input": 1, "region": "us"},
        {"input": 1, "above_tokens": 5},
        {"input": 1, "effective_to": "2026-01-01T00:00:00.000Z"},
        {"input": 1, "effective_from": "2100-01-01T00:00:00.000Z"},
        {"input": 1, "source": "x", "recorded_at": "2025-01-01T00:00:00.000Z"},
    ],
)
def test_what_is_no_disagreement(ledger: Ledger, other: dict[str, Any]) -> None:
    add_prices(ledger, price(source="x", priority=50, **BASE), price(**{"source": "y", **BASE, **other}))
    assert ledger.rows("price_disagreements") == []


def test_only_what_a_source_said_last_counts(ledger: Ledger) -> None:
    add_prices(ledger, price(source="x", **BASE), price(source="y", input=1), recorded_at="2026-01-01T00:00:00.000Z")
    assert len(ledger.rows("price_disagreements")) == 1
    add_prices(ledger, price(source="y", **BASE), recorded_at="2026-01-02T00:00:00.000Z")
    assert ledger.rows("price_disagreements") == []
