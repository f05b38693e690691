from __future__ import annotations

from typing import Any

import pytest
from support import NOON, add_bill, add_charge, add_delivery, add_prices, call, price, raw, tool_call

from agent_ledger import Ledger, closing

pytestmark = pytest.mark.usefixtures("no_sources")

FEBRUARY = "2026-02-02T00:00:00.000Z"


@pytest.fixture
def closed(ledger: Ledger) -> Ledger:
    """January is closed: calls of two agents, a tool call, a bill. And a call in February."""
    ledger.assign("a", team="one")
    ledger.record_calls([call(), call(request_id="b", agent_id="b", model="n"), call(request_id="f", ts=FEBRUARY)])
    ledger.set_prices([price(input=1_000_000, output=1_000_000)])
    ledger.record_tool_call(**tool_call(cost_usd=1))
    with raw(ledger) as connection:
        add_bill(connection)
        closing.close(connection, "2026-01")
    return ledger


def causes(ledger: Ledger) -> set[tuple[Any, ...]]:
    rows = ledger.rows("restatement_cause")
    assert {row["month"] for row in rows} <= {"2026-01"}
    return {(row["part"], row["axis"], row["key"], row["cause"]) for row in rows}


def keys(ledger: Ledger, part: str = "llm") -> set[tuple[str, str]]:
    return {(axis, key) for found, axis, key, _ in causes(ledger) if found == part}


def test_nothing_came_later(closed: Ledger) -> None:
    assert causes(closed) == set()


def test_a_late_call_is_named_by_each_of_its_keys(closed: Ledger) -> None:
    closed.record_call(**call(request_id="late", customer_id="acme", feature="search"))
    assert causes(closed) == {
        ("llm", axis, key, "late calls")
        for axis, key in (
            *(("agent", "a"), ("team", "one"), ("feature", "search"), ("customer", "acme")),
            *(("model", "m"), ("day", "2026-01-15"), ("total", "")),
        )
    }


def test_a_call_of_another_month_is_no_cause(closed: Ledger) -> None:
    closed.record_call(**call(request_id="later", ts=FEBRUARY))
    assert causes(closed) == set()


def test_a_late_account_of_a_call_touches_the_keys_of_both(closed: Ledger) -> None:
    closed.record_call(**call(request_id="b", agent_id="c", model="n", response_id="x", ts=FEBRUARY))
    assert {("agent", "b"), ("model", "n"), ("day", "2026-01-15")} <= keys(closed)
    closed.record_call(**call(agent_id="c", response_id="y"))
    assert {("agent", "a"), ("agent", "c"), ("team", "one"), ("team", "(unattributed)")} <= keys(closed)
    assert ("tool", None, None, "late calls") in causes(closed), "it says whose the tool calls of its request are"


def test_a_late_account_that_does_not_count_is_no_cause(closed: Ledger) -> None:
    closed.record_call(**call(agent_id="c", evidence="log"))
    assert keys(closed) == set()
    closed.record_tool_call(**tool_call())
    assert closed.rows("restatement", axis="agent") == []


def test_a_price_touches_the_calls_that_it_prices(closed: Ledger) -> None:
    closed.set_prices([price("n", input=1, output=1)])
    assert {(axis, key) for _, axis, key, cause in causes(closed) if cause == "prices"} == {
        *(("agent", "b"), ("team", "(unattributed)"), ("feature", "(unattributed)"), ("customer", "(unattributed)")),
        *(("model", "n"), ("day", "2026-01-15"), ("total", "")),
    }


def test_a_price_from_later_on_is_no_cause(closed: Ledger) -> None:
    closed.set_prices([price(input=1, output=1, effective_from=FEBRUARY)])
    assert causes(closed) == set()


def test_a_price_that_leaves_a_call_without_one(closed: Ledger) -> None:
    closed.set_prices([price(input=9)])
    assert {("agent", "a"), ("model", "m")} <= keys(closed)


def test_an_assignment_touches_the_old_and_the_new(closed: Ledger) -> None:
    closed.assign("a", team="two", feature="search", valid_from="2026-01-10")
    expected = {("team", "one"), ("team", "two"), ("feature", "(unattributed)"), ("feature", "search")}
    assert keys(closed, "llm") == keys(closed, "tool") == expected
    assert {cause for *_, cause in causes(closed)} == {"assignment"}


@pytest.mark.parametrize("since", ["2026-01-15T12:00:00.001Z", "2026-02-01"])
def test_an_assignment_from_later_on_is_no_cause(closed: Ledger, since: str) -> None:
    closed.assign("a", team="two", valid_from=since)
    assert causes(closed) == set()


def test_an_assignment_does_not_move_a_feature_that_was_stamped(closed: Ledger) -> None:
    with raw(closed) as connection:
        closing.reopen(connection, "2026-01", "again")
    closed.record_call(**call(request_id="s", agent_id="s", feature="stamped"))
    closed.record_tool_call(**tool_call(tool_call_id="s", request_id="s"))
    with raw(closed) as connection:
        closing.close(connection, "2026-01")
    closed.assign("s", feature="other")
    assert causes(closed) == set()


def everything(cause: str) -> set[tuple[Any, ...]]:
    return {("tool", None, None, cause)}


def test_late_tool_calls(closed: Ledger) -> None:
    closed.record_tool_call(**tool_call(tool_call_id="february", ts=FEBRUARY))
    assert causes(closed) == set()
    closed.record_tool_call(**tool_call(tool_call_id="late"))
    assert causes(closed) == everything("late calls")


def test_a_fuller_account_of_a_tool_call(closed: Ledger) -> None:
    closed.record_tool_call(**tool_call(cost_usd=2, server="s", operation="o", units=1, unit="u", ts=FEBRUARY))
    assert causes(closed) == everything("late calls")


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(NOON, None, True), ("2025-12-01", "2026-01-01", False), (FEBRUARY, None, False)]
)
def test_tool_prices(closed: Ledger, start: str, end: str | None, expected: bool) -> None:
    stamps = [moment and f"{moment[:10]}T00:00:00.000Z" for moment in (start, end)]
    with raw(closed) as connection:
        connection.execute(
            "insert into tool_price (tool, effective_from, effective_to, price) values ('t', ?, ?, 1)", stamps
        )
    assert causes(closed) == (everything("prices") if expected else set())


def test_another_bill(closed: Ledger) -> None:
    with raw(closed) as connection:
        february = {"period_start": "2026-02-01T00:00:00.000Z", "period_end": FEBRUARY}
        add_charge(connection, add_delivery(connection, billing_period="2026-02"), "1", "1", **february)
    assert causes(closed) == set()
    with raw(closed) as connection:
        add_charge(connection, add_delivery(connection, bill="aws 2"), "1", "1")
    assert causes(closed) == everything("bills")


def test_a_later_delivery_that_leaves_lines_out(closed: Ledger) -> None:
    with raw(closed) as connection:
        add_delivery(connection, "empty")
    assert causes(closed) == everything("bills")


def test_exchange_rates_and_rules(closed: Ledger) -> None:
    with raw(closed) as connection:
        connection.execute("insert into exchange_rate (currency, effective_from, usd) values ('GBP', ?, 2)", [FEBRUARY])
    assert causes(closed) == set()
    with raw(closed) as connection:
        connection.execute("insert into exchange_rate (currency, effective_from, usd) values ('GBP', ?, 2)", [NOON])
    assert causes(closed) == everything("exchange rates")
    with raw(closed) as connection:
        connection.execute("insert into allocation_rule (name, method) values ('all', 'none')")
    assert causes(closed) == everything("exchange rates") | everything("allocation rules")


def test_a_price_of_another_source_that_does_not_count_is_no_cause(closed: Ledger) -> None:
    add_prices(closed, price(source="list", input=5, output=5, priority=1))
    assert causes(closed) == set()


def test_an_empty_ledger_has_no_rows(ledger: Ledger) -> None:
    assert ledger.rows("restatement_cause") == []
