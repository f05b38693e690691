from __future__ import annotations

from billed import billed
from support import query, tool_call

from agent_ledger import Ledger

PICOS = "cost_4096ths * 244140625 + cost_picos"


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    billed(ledger)
    ledger.compact()
    found = query(
        ledger,
        f"select bucket, agent_id, team, server, tool, calls, failed_calls, uncosted_calls, {PICOS}"
        " from tool_rollup_cost where grain = 'month' order by 1, 2",
    )
    dollar = 10**12
    assert found == [
        ("2026-01", "a", "one", "web", "search", 1, 0, 0, dollar // 2),
        ("2026-02", "(unattributed)", None, None, "free", 1, 0, 1, None),
        ("2026-02", "a", "two", "s3", "get_object", 1, 1, 0, dollar * 3 // 4),
        ("2026-02", "b", None, "s3", "get_object", 1, 0, 0, dollar // 4),
    ]


def test_prices_are_those_of_the_moment(ledger: Ledger) -> None:
    """Per call or per unit, by server, whatever is summed in one row."""
    ledger.set_tool_price("t", "10", effective_to="2026-01-15T12:00:00Z")
    ledger.set_tool_price("t", "0.000002", unit="bytes", effective_from="2026-01-15T12:00:00Z")
    ledger.set_tool_price("t", "1", server="mine", effective_from="2026-01-15T12:00:00Z")
    for number in range(12):
        ledger.record_tool_call(
            tool="t", request_id=f"{number}", ts=f"2026-01-15T{11 + number % 2}:00:00.000Z", unit="bytes",
            units=(2**21 + 1, 0.5, None)[number % 3], server=(None, None, None, "mine")[number % 4],
        )  # fmt: skip
    costs = query(ledger, "select sum(cost_picos), count(*) - count(cost_picos) from tool_cost")
    ledger.compact()
    sums = f"select sum({PICOS}), sum(uncosted_calls) from tool_rollup_cost where grain = ?"
    for grain in ("day", "month", "agent_customer", "customer_day", "customer_month"):
        assert query(ledger, sums, grain) == costs


def test_an_empty_ledger_has_no_rows(ledger: Ledger) -> None:
    ledger.record_tool_call(**tool_call())
    assert ledger.rows("tool_rollup_cost") == []
