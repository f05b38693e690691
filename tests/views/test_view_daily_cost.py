from __future__ import annotations

from support import call, spent

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    spent(ledger)
    rows = ledger.rows("daily_cost")
    keys = ("day", "agent_id", "team", "feature", "customer_id", "provider", "model")
    none = "(unattributed)"
    assert [tuple(row[key] for key in keys) for row in rows] == [
        ("2026-01-31", "a", "one", "search", "acme", none, "m"),
        ("2026-02-01", "a", "two", "chat", "acme", none, "unknown"),
        ("2026-02-01", "a", "two", "search", none, none, "m"),
        ("2026-02-02", "b", none, none, none, none, "m"),
    ]
    figures = ("calls", "prompt_tokens", "cache_write_tokens", "completion_tokens", "cost_usd", "unpriced_calls")
    assert [tuple(row[name] for name in figures) for row in rows] == [
        (1, 100, 0, 10, 0.00025, 0), (1, 100, 0, 10, None, 1), (1, 100, 50, 10, 0.0003, 0), (1, None, 0, 5, None, 1),
    ]  # fmt: skip
    assert [(row["cost_4096ths"], row["cost_picos"]) for row in rows] == [
        (1, 250_000_000 - 244_140_625), (None, None), (1, 300_000_000 - 244_140_625), (None, None),
    ]  # fmt: skip


def test_calls_of_one_cell_are_added(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.record_calls(call(request_id=str(number), prompt_tokens=number) for number in range(1, 5))
    [row] = ledger.rows("daily_cost")
    assert (row["calls"], row["prompt_tokens"], row["cost_usd"], row["unpriced_calls"]) == (4, 10, None, 4)
