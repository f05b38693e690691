from __future__ import annotations

from typing import Any

import pytest
from support import add_bill, add_charge, add_delivery, call, price, raw, tool_call

from agent_ledger import Ledger, closing
from agent_ledger.allocation import allocate

pytestmark = pytest.mark.usefixtures("no_sources")

_COLUMNS = ("closed_usd", "restated_usd", "difference_usd", "calls_difference", "tool_calls_difference", "cause")


@pytest.fixture
def closed(ledger: Ledger) -> Ledger:
    """January is closed with a dollar of LLM calls of a, nothing known of b, and two dollars of a tool call of a."""
    ledger.assign("a", team="one")
    ledger.record_calls(
        [
            call(prompt_tokens=1_000_000, completion_tokens=0, customer_id="acme"),
            call(request_id="2", agent_id="b", model="n", prompt_tokens=1_000_000, completion_tokens=0),
        ]
    )
    ledger.set_prices([price(input=1_000_000, output=1_000_000)])
    ledger.record_tool_call(**tool_call(cost_usd=2))
    with raw(ledger) as connection:
        closing.close(connection, "2026-01")
    return ledger


def restated(ledger: Ledger, *axes: str) -> dict[tuple[str, str], tuple[Any, ...]]:
    rows = ledger.rows("restatement")
    assert {row["month"] for row in rows} == {"2026-01"}
    return {
        (row["axis"], row["key"]): tuple(row[name] for name in _COLUMNS)
        for row in rows
        if not axes or row["axis"] in axes
    }


def test_without_changes_there_are_the_totals(closed: Ledger) -> None:
    assert restated(closed) == {("total", ""): (3.0, 3.0, 0.0, 0, 0, None)}


def test_late_calls(closed: Ledger) -> None:
    closed.record_call(**call(request_id="late", prompt_tokens=500_000, completion_tokens=0, ts="2026-01-20"))
    late = (1, 0, "late calls")
    assert restated(closed) == {
        ("agent", "a"): (3.0, 3.5, 0.5, *late),
        ("team", "one"): (3.0, 3.5, 0.5, *late),
        ("feature", "(unattributed)"): (3.0, 3.5, 0.5, *late),
        ("customer", "(unattributed)"): (None, 0.5, 0.5, *late),  # the call of b, which nobody could price
        ("model", "m"): (1.0, 1.5, 0.5, *late),
        ("day", "2026-01-20"): (0.0, 0.5, 0.5, *late),
        ("total", ""): (3.0, 3.5, 0.5, *late),
    }


def test_a_late_call_without_a_price_changes_the_number_of_calls(closed: Ledger) -> None:
    closed.record_call(**call(request_id="late", agent_id="b", model="n"))
    assert restated(closed, "agent", "total") == {
        ("agent", "b"): (None, None, 0.0, 1, 0, "late calls"),
        ("total", ""): (3.0, 3.0, 0.0, 1, 0, "late calls"),
    }


def test_prices(closed: Ledger) -> None:
    closed.set_prices([price(input=3_000_000, output=0), price("n", input=5_000_000, output=1)])
    assert restated(closed, "agent", "model", "total") == {
        ("agent", "a"): (3.0, 5.0, 2.0, 0, 0, "prices"),
        ("agent", "b"): (None, 5.0, 5.0, 0, 0, "prices"),
        ("model", "m"): (1.0, 3.0, 2.0, 0, 0, "prices"),
        ("model", "n"): (None, 5.0, 5.0, 0, 0, "prices"),
        ("total", ""): (3.0, 10.0, 7.0, 0, 0, "prices"),
    }


def test_an_assignment_moves_money_and_leaves_the_total(closed: Ledger) -> None:
    closed.assign("a", team="two", valid_from="2026-01-01")
    assert restated(closed) == {
        ("team", "one"): (3.0, 0.0, -3.0, -1, -1, "assignment"),
        ("team", "two"): (0.0, 3.0, 3.0, 1, 1, "assignment"),
        ("total", ""): (3.0, 3.0, 0.0, 0, 0, None),
    }


def test_bills(closed: Ledger) -> None:
    with raw(closed) as connection:
        add_charge(connection, add_delivery(connection), "1", "0.25", category="tax")
        allocate(connection)
    rest = (0.0, 0.25, 0.25, 0, 0, "bills")
    expected = {(axis, "(unallocated)"): rest for axis in ("agent", "team", "feature", "customer")}
    assert restated(closed) == expected | {
        ("day", "2026-01-15"): (3.0, 3.25, 0.25, 0, 0, "bills"),
        ("total", ""): (3.0, 3.25, 0.25, 0, 0, "bills"),
    }


def test_several_causes_are_joined(closed: Ledger) -> None:
    closed.record_call(**call(request_id="late", customer_id="acme"))
    closed.set_prices([price(input=3_000_000, output=0)])
    closed.assign("a", team="two", valid_from="2026-01-01")
    with raw(closed) as connection:
        add_bill(connection)
    rows = restated(closed)
    assert rows["team", "one"][-1] == "assignment, bills, exchange rates, late calls"
    assert rows["team", "two"][-1] == "assignment, bills, exchange rates, late calls, prices"
    assert rows["total", ""][-1] == "bills, exchange rates, late calls, prices"
    assert rows["model", "m"][-1] == "late calls, prices"
    assert ("agent", "b") not in rows


def test_the_difference_is_exact_beyond_what_a_double_can_hold(closed: Ledger) -> None:
    closed.set_prices([price(input=4_000_000_000, output=4_000_000_000)])
    closed.record_calls(
        call(request_id=f"big{n}", prompt_tokens=1_000_000_000, completion_tokens=1_000_000_000) for n in range(2)
    )
    [total] = [row for row in closed.rows("restatement") if row["axis"] == "total"]
    more = 4_000 - 1 + 2 * 8_000_000
    assert total["difference_4096ths"] == more * 4096
    assert total["difference_picos"] == 0
    assert total["difference_usd"] == float(more)


def test_each_closed_month_has_its_rows(closed: Ledger) -> None:
    with raw(closed) as connection:
        closing.close(connection, "2025-12")
    closed.record_call(**call(request_id="late", ts="2025-12-24"))
    closed.record_call(**call(request_id="open", ts="2026-02-24"))
    assert {row["month"] for row in closed.rows("restatement", axis="total")} == {"2025-12", "2026-01"}
    assert {row["month"] for row in closed.rows("restatement", axis="day")} == {"2025-12"}


def test_an_empty_ledger_has_no_rows(ledger: Ledger) -> None:
    assert ledger.rows("restatement") == []
