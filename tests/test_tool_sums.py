"""One pass over tool calls: what is summed where. Histories are asked in test_tool_rollup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from support import call, query, raw, tool_call

from agent_ledger import Ledger, tool_rollup
from agent_ledger.schema import open_for_writing
from agent_ledger.tool_sums import Kinds, ToolSums

pytestmark = pytest.mark.usefixtures("no_sources")
DAY = "2026-02-10"


@contextmanager
def summed(ledger: Ledger) -> Iterator[ToolSums]:
    with closing(open_for_writing(ledger.path, synchronous="off")) as connection:
        sums = ToolSums(connection, Kinds(connection))
        sums.read("true", [])
        if missing := sums.place():
            tool_rollup.add_keys(connection, missing)
            assert sums.place() == []
        yield sums


def used(ledger: Ledger, number: int, **fields: object) -> None:
    given = {"tool_call_id": str(number), "ts": f"{DAY}T09:15:00.000Z", "request_id": "r", "agent_id": "a"} | fields
    ledger.record_tool_call(**tool_call(**given))


def test_tool_calls_of_one_hour_and_customer_come_together(ledger: Ledger) -> None:
    ledger.record_call(**call(request_id="r", customer_id="acme", feature="chat"))
    used(ledger, 1, units=3, unit="bytes", status="error")
    used(ledger, 2, units=4, unit="bytes", ts=f"{DAY}T09:45:00.000Z")
    used(ledger, 3, units=4, unit="bytes", request_id="unknown")
    with summed(ledger) as sums:
        assert [(group.bucket, group.customers) for group in sums.customers()] == [
            (DAY, {"acme": [2, 1, 7, 0, 0, 0, 0, 0]}),
            (DAY, {"": [1, 0, 4, 0, 0, 0, 0, 0]}),
        ]
        assert [row for (row,) in sums.orphans] == [3]


def test_what_a_tool_says_it_cost_is_summed_in_two_parts(ledger: Ledger) -> None:
    used(ledger, 1, cost_usd=0.25)
    used(ledger, 2, cost_usd=0.0003)
    with summed(ledger) as sums:
        assert [group.customers[""][3:5] for group in sums.hours()] == [[1025, 300_000_000 - 244140625]]


def test_what_a_price_makes_of_other_units_is_worked_out_one_by_one(ledger: Ledger) -> None:
    ledger.set_tool_price("get_object", "0.5", unit="seconds")
    used(ledger, 1, tool="get_object", units=0.125, unit="seconds")
    used(ledger, 2, tool="get_object", units=0.25, unit="seconds")
    with summed(ledger) as sums:
        found = [group.customers[""][:5] for group in sums.hours()]
        assert found == [[2, 0, 0, 256 + 512, 0]]
    assert query(ledger, "select sum(cost_usd) from tool_cost") == [(0.1875,)]


def test_parts_of_bills_are_rounded_towards_zero_as_sqlite_does(ledger: Ledger) -> None:
    used(ledger, 1)
    used(ledger, 2)
    with raw(ledger) as connection:
        connection.execute("pragma foreign_keys = off")
        for number, picos in ((1, -300_000_000), (2, 500_000_000)):
            columns = [row[1] for row in connection.execute("pragma table_info(allocation)") if row[3]]
            known = {"charge_id": number, "audit_id": number, "cost_picos": picos, "method": "request"}
            values = [known.get(column, 1) for column in columns]
            connection.execute(
                f"insert into allocation ({', '.join(columns)}) values ({', '.join('?' * len(columns))})", values
            )
        (expected,) = connection.execute(
            "select json_array(count(*), sum(cost_picos / 244140625), sum(cost_picos % 244140625)) from allocation"
        ).fetchone()
    with summed(ledger) as sums:
        assert str(next(group.customers[""][5:] for group in sums.hours())).replace(" ", "") == expected


def test_an_hour_is_divided_where_a_price_begins(ledger: Ledger) -> None:
    ledger.set_tool_price("get_object", "0.5", effective_from=f"{DAY}T09:30:00.000Z")
    for number, minute in enumerate((0, 29, 30, 59)):
        used(ledger, number, tool="get_object", ts=f"{DAY}T09:{minute:02d}:00.000Z")
    with summed(ledger) as sums:
        found = sorted((group.place.price_cut, group.customers[""][0]) for group in sums.hours())
    assert found == [("", 2), (f"{DAY}T09:30:00.000Z", 2)]
