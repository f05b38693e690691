"""A small company with a bill: what the tests of the all-in figures have in common."""

from __future__ import annotations

from typing import Any

from support import add_charge, add_delivery, query, raw, spent, tool_call

from agent_ledger import Ledger

FEBRUARY = {"period_start": "2026-02-01T00:00:00.000Z", "period_end": "2026-02-02T00:00:00.000Z"}
JANUARY = {"period_start": "2026-01-01T00:00:00.000Z", "period_end": "2026-02-01T00:00:00.000Z"}
MEASURES = ("calls", "tool_calls", "llm_usd", "tool_usd", "all_in_usd", "unpriced_calls", "uncosted_calls")


def billed(ledger: Ledger) -> None:
    """The calls of `spent`, four tool calls, and a bill.

    A search that says it cost $0.5; a failed and another read of a bucket, which take 0.75 and 0.25 of a line of $1; a
    tool call that nobody claims and whose cost nobody says. Nobody claims $2 of a database, and a credit of $0.5. A
    line in euros has no exchange rate, one of $7 is for the tokens of a model.
    """
    spent(ledger)
    bucket = {"tool": "get_object", "server": "s3", "resource_id": "bucket"}
    ledger.record_tool_calls(
        [
            tool_call(
                request_id="1", tool_call_id="t1", tool="search", server="web", cost_usd=0.5, status="ok",
                ts="2026-01-31T23:59:59.999Z",
            ),
            tool_call(request_id="3", tool_call_id="t2", status="error", ts="2026-02-01T12:00:00.000Z", **bucket),
            tool_call(request_id="2", tool_call_id="t3", agent_id="b", ts="2026-02-01T12:00:00.000Z", **bucket),
            tool_call(request_id=None, tool_call_id="t4", tool="free", ts="2026-02-02T00:00:00.000Z"),
        ]
    )  # fmt: skip
    with raw(ledger) as connection:
        delivery = add_delivery(connection, billing_period="2026-02")
        line = add_charge(connection, delivery, "bucket", "1", service="AmazonS3", resource_id="bucket", **FEBRUARY)
        database = add_charge(connection, delivery, "database", "2", service="AmazonRDS", **FEBRUARY)
        credit = add_charge(connection, delivery, "credit", "-0.5", category="credit", **JANUARY)
        add_charge(connection, delivery, "euros", "9", currency="EUR", **FEBRUARY)
        add_charge(connection, delivery, "tokens", "7", kind="llm", **FEBRUARY)
        for tool_call_id, weight, picos in (("t2", 3, 75 * 10**10), ("t3", 1, 25 * 10**10)):
            [(audit_id,)] = connection.execute("select id from audit where tool_call_id = ?", [tool_call_id])
            connection.execute(
                "insert into allocation (charge_id, audit_id, method, weight, cost_picos) values (?, ?, ?, ?, ?)",
                [line, audit_id, "weighted", weight, picos],
            )
        connection.executemany(
            "insert into allocation_rest (charge_id, cost_picos, reason) values (?, ?, ?)",
            [(database, 2 * 10**12, "no tool call"), (credit, -5 * 10**11, "credit")],
        )


def all_in_rows(ledger: Ledger, axis: str) -> dict[Any, tuple[Any, ...]]:
    """The rows of a view all_in_by_…: MEASURES by key."""
    rows = ledger.rows(f"all_in_by_{axis}")
    found = {next(iter(row.values())): tuple(row[name] for name in MEASURES) for row in rows}
    assert len(found) == len(rows)
    return found


def stated(ledger: Ledger) -> int:
    """What everything must sum to, in pico-dollars: LLM calls, tool calls with a cost of their own, cloud bills."""
    rows = query(  # added up here: 64 bits of pico-dollars end at 9.2 million dollars
        ledger,
        """
        select cost_picos from call_cost
        union all
        select cost_picos from tool_cost where cost_source <> 'allocated'
        union all
        select cost_picos from billed_charge where kind = 'cloud'
        """,
    )
    return sum(picos or 0 for (picos,) in rows)
