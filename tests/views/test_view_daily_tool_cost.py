from __future__ import annotations

from billed import billed
from support import tool_call

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    billed(ledger)
    rows = ledger.rows("daily_tool_cost")
    keys = ("day", "agent_id", "team", "feature", "customer_id", "server", "tool")
    none = "(unattributed)"
    figures = ("calls", "failed_calls", "uncosted_calls", "cost_usd")
    assert {tuple(row[key] for key in keys): tuple(row[name] for name in figures) for row in rows} == {
        ("2026-01-31", "a", "one", "search", "acme", "web", "search"): (1, 0, 0, 0.5),
        ("2026-02-01", "a", "two", "chat", "acme", "s3", "get_object"): (1, 1, 0, 0.75),
        ("2026-02-01", "b", none, none, none, "s3", "get_object"): (1, 0, 0, 0.25),
        ("2026-02-02", none, none, none, none, none, "free"): (1, 0, 1, None),
    }
    assert len(rows) == 4
    for row in rows:
        exact = None if row["cost_4096ths"] is None else row["cost_4096ths"] * 244140625 + row["cost_picos"]
        assert exact == (None if row["cost_usd"] is None else round(row["cost_usd"] * 1e12))


def test_tool_calls_of_one_cell_are_added(ledger: Ledger) -> None:
    ledger.record_tool_calls(tool_call(tool_call_id=str(n), cost_usd=n or None, agent_id="a") for n in range(4))
    [row] = ledger.rows("daily_tool_cost")
    assert (row["calls"], row["uncosted_calls"], row["cost_usd"]) == (4, 1, 6.0)
