from __future__ import annotations

from billed import billed

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    billed(ledger)
    rows = ledger.rows("tool_part")
    assert {(row["grain"], row["calls"], row["cost_4096ths"]) for row in rows} == {("call", 1, 0)}
    found = [
        (
            row["bucket"][:10],
            row["agent_id"],
            row["tool"],
            row["failed_calls"],
            row["uncosted_calls"],
            row["cost_picos"],
        )
        for row in rows
    ]
    dollar = 10**12
    assert found == [
        ("2026-01-31", "a", "search", 0, 0, dollar // 2),
        ("2026-02-01", "a", "get_object", 1, 0, dollar * 3 // 4),
        ("2026-02-01", "b", "get_object", 0, 0, dollar // 4),
        ("2026-02-02", "(unattributed)", "free", 0, 1, None),
    ]
