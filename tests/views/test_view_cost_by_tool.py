from __future__ import annotations

from billed import billed
from support import tool_call

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    billed(ledger)
    assert [tuple(row.values()) for row in ledger.rows("cost_by_tool")] == [
        ("(unattributed)", "free", 1, 0, 1, None),
        ("s3", "get_object", 2, 1, 0, 1.0),
        ("web", "search", 1, 0, 0, 0.5),
    ]


def test_failed_calls_are_those_that_say_error_and_may_cost_something(ledger: Ledger) -> None:
    statuses = ["ok", "error", "error", None, "cancelled"]
    ledger.record_tool_calls(
        tool_call(tool_call_id=str(number), status=status, cost_usd=0.25) for number, status in enumerate(statuses)
    )
    [row] = ledger.rows("cost_by_tool")
    assert (row["calls"], row["failed_calls"], row["uncosted_calls"], row["cost_usd"]) == (5, 2, 0, 1.25)


def test_one_tool_of_two_servers_is_two_rows(ledger: Ledger) -> None:
    ledger.record_tool_calls(tool_call(tool_call_id=str(n), server=f"s{n}") for n in range(2))
    assert [(row["server"], row["tool"]) for row in ledger.rows("cost_by_tool")] == [("s0", "t"), ("s1", "t")]


def test_an_empty_ledger_has_no_rows(ledger: Ledger) -> None:
    assert ledger.rows("cost_by_tool") == []
