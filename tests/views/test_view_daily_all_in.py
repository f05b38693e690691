from __future__ import annotations

from billed import billed, stated

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    billed(ledger)
    rows = ledger.rows("daily_all_in")
    keys = ("day", "agent_id", "team", "feature", "customer_id")
    none, rest = "(unattributed)", ("(unallocated)",) * 4
    found = {
        tuple(row[key] for key in keys): (
            *(row[name] for name in ("calls", "tool_calls", "unpriced_calls", "uncosted_calls")),
            *(_picos(row, part) for part in ("llm", "tool")),
        )
        for row in rows
    }
    dollar = 10**12
    assert found == {
        ("2026-01-01", *rest): (0, 0, 0, 0, None, -dollar // 2),
        ("2026-01-31", "a", "one", "search", "acme"): (1, 1, 0, 0, 250_000_000, dollar // 2),
        ("2026-02-01", "a", "two", "chat", "acme"): (1, 1, 1, 0, None, dollar * 3 // 4),
        ("2026-02-01", "a", "two", "search", none): (1, 0, 0, 0, 300_000_000, None),
        ("2026-02-01", "b", none, none, none): (0, 1, 0, 0, None, dollar // 4),
        ("2026-02-01", *rest): (0, 0, 0, 0, None, 2 * dollar),
        ("2026-02-02", "b", none, none, none): (1, 0, 1, 0, None, None),
        ("2026-02-02", none, none, none, none): (0, 1, 0, 1, None, None),
    }
    assert len(found) == len(rows)
    assert sum(_picos(row, part) or 0 for row in rows for part in ("llm", "tool")) == stated(ledger)


def _picos(row: dict[str, int | None], part: str) -> int | None:
    whole, rest = row[f"{part}_4096ths"], row[f"{part}_picos"]
    return None if whole is None or rest is None else whole * 244140625 + rest
