"""Views say the same whatever is compacted: of calls with bills, usage reports, closed months and late accounts."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from typing import Any

import billed
import focus_rules
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from invoiced import bill, priced, report, used
from support import add_bill, add_charge, add_delivery, call, price, query, raw, spent, temporary_ledger, tool_call
from test_rollup import MOMENTS, calls, moments, prices
from test_rollup import compact as compact_some
from test_rollup import play as play_calls

from agent_ledger import Ledger, closing, compacting, exporting
from agent_ledger.schema import open_for_writing, scripts

pytestmark = pytest.mark.usefixtures("no_sources")
slow = settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)

# Rows that are not added up further than they are in the rollups are added up here.
CALLS_OF_BILLERS = """
  select entry, provider, month, day, agent_id, model, model_key, inside, cost_picos is null, sum(calls), sum(tokens),
    sum(cost_4096ths + cost_picos / 244140625) * 244140625 + sum(cost_picos % 244140625)
  from reconciliation_entry where entry = 'call' group by 1, 2, 3, 4, 5, 6, 7, 8, 9
"""
COSTS_BY_KIND = """
  select day, agent_id, team, feature, customer_id, provider, model, service_tier, region, cost_source, price_source,
    token_type, unit_picos, sum(quantity), sum(cost_picos)
  from token_cost group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
"""
STATEMENTS = {
    "reconciliation_entry": CALLS_OF_BILLERS,
    "token_cost": COSTS_BY_KIND,
    **{
        view: f"select * from {view}"
        for view in (
            *("coverage", "unpriced_calls", "reconciliation_part", "reconciliation", "reconciliation_by_day"),
            *("reconciliation_by_model", "invoice_by_agent", "restatement", "restatement_cause", "closed_month"),
        )
    },
}
ROW_BY_ROW = {
    *("all_in_by_request", "call_cost", "call_part", "call_rank", "rollup_place", "usage", "usage_place"),
    *("tool_attribution", "tool_call", "tool_call_rank", "tool_cost", "tool_part", "tool_place", "tool_rollup_place"),
}  # which have a row per call, or per account of one

Said = dict[str, Any]


def say(connection: sqlite3.Connection) -> Said:
    """All that the views say, as far as it does not depend on what is compacted."""
    said: Said = {name: Counter(connection.execute(sql).fetchall()) for name, sql in STATEMENTS.items()}
    said["focus"] = [tuple(row) for row in exporting.focus(connection).rows]
    said["missing"] = exporting.missing(connection)
    return said


def as_calls(ledger: Ledger) -> Said:
    """What the views say where nothing is compacted."""
    with raw(ledger) as connection:
        connection.execute("update rollup_state set ledger_row = 0, audit_row = 0")
        said = say(connection)
        connection.rollback()
    return said


def assert_said(ledger: Ledger, expected: Said) -> None:
    with raw(ledger) as connection:
        found = say(connection)
    for view, rows in expected.items():
        assert found[view] == rows, view


def compact(ledger: Ledger) -> None:
    connection = open_for_writing(ledger.path, synchronous="off")
    compacting.compact(connection)
    connection.close()


# -- histories --------------------------------------------------------------------------------------------------------

PROVIDERS = ("p", "amazon bedrock", None)
STARTS = (
    "2026-02-01T00:00:00.000Z",
    "2026-02-09T23:00:00.000Z",
    "2026-02-10T09:30:00.000Z",
    "2026-02-10T00:00:00.000Z",
)
ENDS = ("2026-02-10T16:15:00.000Z", "2026-03-01T00:00:00.000Z", "2026-03-15T01:00:00.000Z")
own_calls = calls.flatmap(
    lambda fields: st.builds(
        lambda provider, name: fields | {"provider": provider, "model": name or fields["model"]},
        st.sampled_from(PROVIDERS),
        st.sampled_from([None, None, "M-20260101"]),
    )
)
lines = st.fixed_dictionaries(
    {
        "cost": st.sampled_from(["0.000003", "1.25", "-0.5"]),
        "provider": st.sampled_from(["p", "aws"]),
        "period_start": st.sampled_from(STARTS),
        "period_end": st.sampled_from(ENDS),
        "category": st.sampled_from(["usage", "usage", "credit"]),
        "model": st.sampled_from(["m", "n", None]),
        "quantity": st.sampled_from(["7", None]),
        "currency": st.sampled_from(["USD", "USD", "EUR"]),
    }
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.lists(own_calls, min_size=5, max_size=20)),
        st.tuples(st.just("record"), st.lists(own_calls, min_size=1, max_size=3)),
        st.tuples(st.just("compact"), st.integers(3, 30)),
        st.tuples(st.just("price"), prices),
        st.tuples(st.just("assign"), st.tuples(st.sampled_from(["a", "b"]), moments, st.sampled_from(["x", "y"]))),
        st.tuples(st.just("close"), st.sampled_from(["2026-01", "2026-02", "2026-03"])),
        st.tuples(st.just("bill"), st.lists(lines, min_size=1, max_size=4)),
        st.tuples(st.just("report"), st.tuples(st.sampled_from(["m", "n", None]), st.sampled_from(MOMENTS))),
        st.tuples(st.just("tool"), st.tuples(st.integers(0, 29), moments, st.sampled_from(["a", "b", None]))),
    ),
    min_size=6,
    max_size=18,
)


def play(ledger: Ledger, number: int, step: tuple[str, Any]) -> None:
    what, given = step
    if what == "close":
        with raw(ledger) as connection:
            if query(ledger, "select 1 from closed_month where month = ?", given):
                closing.reopen(connection, given, "again", moment="2027-01-01T00:00:00.000Z")
            closing.close(connection, given, moment="2027-01-01T00:00:00.000Z")
    elif what == "bill":
        with raw(ledger) as connection:
            delivery = add_delivery(connection, str(number), bill="p 1", billing_period="2026-02")
            for index, line in enumerate(given):
                unit = {"kind": "llm", "unit": "1K tokens"}
                add_charge(connection, delivery, str(index), **line | unit)
    elif what == "report":
        model, moment = given
        with raw(ledger) as connection:
            delivery = add_delivery(connection, str(number), bill="p 1", content="usage", format="usage")
            connection.execute(
                "insert into provider_usage (delivery_id, usage_id, period_start, period_end, provider, model,"
                " prompt_tokens, completion_tokens) values (?, '1', ?, '2027-01-01T00:00:00.000Z', 'p', ?, 9, 9)",
                [delivery, f"{moment[:10]}T00:00:00.000Z", model],
            )
    elif what == "tool":
        request, moment, agent = given
        ledger.record_tool_call(
            **tool_call(tool_call_id=str(number), request_id=f"r{request}", ts=moment, agent_id=agent, cost_usd=0.5)
        )
    else:
        play_calls(ledger, step)


@given(steps)
@slow
def test_a_history_looks_the_same_before_and_after_compacting(history: list[tuple[str, Any]]) -> None:
    with temporary_ledger() as ledger:
        for number, step in enumerate(history):
            play(ledger, number, step)
        expected = as_calls(ledger)
        assert_said(ledger, expected)
        compact(ledger)
        assert_said(ledger, expected)


# -- fixtures ---------------------------------------------------------------------------------------------------------


def _reconciled(ledger: Ledger) -> None:
    priced(ledger, m=10)
    used(ledger)
    used(ledger, agent_id="b", ts="2026-01-16T00:00:00Z")
    used(ledger, "unknown", ts="2026-01-16T09:29:59.999Z")
    used(ledger, ts="2026-01-16T09:30:00Z")
    used(ledger, ts="2026-01-16T10:15:00Z")
    line = {"model": "m", "period_start": "2026-01-15T00:00:00.000Z", "period_end": "2026-01-16T09:30:00.000Z"}
    bill(ledger, {"cost": "21", **line}, {"cost": "2", **line, "model": "z"}, {"cost": "-1", "category": "credit"})
    report(ledger, {"m": 1_000_000}, days=(15, 16))


def _restated(ledger: Ledger) -> None:
    spent(ledger)
    ledger.record_tool_call(**tool_call(cost_usd=1))
    with raw(ledger) as connection:
        add_bill(connection)
        closing.close(connection, "2026-01")
        closing.close(connection, "2026-02", moment="2027-01-01T00:00:00.000Z")
    compact(ledger)
    ledger.record_call(**call(request_id="late", customer_id="acme"))
    ledger.record_call(**call(request_id="2", response_id="x" * 20, ts="2026-02-01T00:00:00.000Z", prompt_tokens=7))
    ledger.assign("a", team="three", valid_from="2026-02-01")
    ledger.set_prices([price(input=3_000_000, output=5_000_000), price("unknown", input=1, output=1)])


def _many_costs(ledger: Ledger) -> None:
    focus_rules.fill(ledger)


@pytest.mark.parametrize("fill", [spent, billed.billed, _reconciled, _restated, _many_costs])
def test_a_ledger_looks_the_same_before_and_after_compacting(ledger: Ledger, fill: Callable[[Ledger], None]) -> None:
    fill(ledger)
    expected = as_calls(ledger)
    assert_said(ledger, expected)
    compact_some(ledger, 2)
    assert_said(ledger, expected)
    compact(ledger)
    assert_said(ledger, expected)


@pytest.mark.parametrize("view", sorted(set(scripts("views")) - ROW_BY_ROW))
def test_no_view_looks_at_the_calls_one_by_one(ledger: Ledger, view: str) -> None:
    _restated(ledger)
    compact(ledger)
    plan = [row[3] for row in query(ledger, f"explain query plan select * from {view}")]
    assert plan
    facts = "ledger" if view == "focus" else "ledger|audit"  # it lists tool calls whose cost is not allocated by itself
    assert not [line for line in plan if re.match(rf"SCAN ({facts})\b", line)]


@pytest.mark.parametrize(
    "condition",
    [
        "grain in ('month', 'call') and agent_id = 'a'",
        "grain in ('month', 'call') and team = 'one'",
        "grain in ('month', 'call') and feature = 'f'",
        "grain in ('month', 'call') and model = 'm'",
        "grain in ('customer_month', 'call') and customer_id = 'acme'",
        "grain in ('month', 'call')",
    ],
)
@pytest.mark.parametrize("view", ["usage_cost", "all_in_part"])
def test_what_a_key_spent_in_a_period_is_read_from_the_buckets_of_the_period(
    ledger: Ledger, view: str, condition: str
) -> None:
    _restated(ledger)
    compact(ledger)
    if view == "all_in_part" and "model" in condition:
        return
    sql = f"select count(*) from {view} where {condition} and bucket >= '2026-01' and bucket < '2026-02'"
    plan = [row[3] for row in query(ledger, f"explain query plan {sql}")]
    assert "SEARCH usage_rollup USING PRIMARY KEY (grain=? AND key_id=? AND bucket>? AND bucket<?)" in plan
    assert not [line for line in plan if re.match(r"SCAN (ledger|audit|usage_rollup|tool_rollup)\b", line)]


def test_days_that_a_bill_begins_or_ends_within_are_read_by_the_hour(ledger: Ledger) -> None:
    _reconciled(ledger)
    compact(ledger)
    found = query(ledger, "select starts, calls, inside from reconciliation_entry where entry = 'call' order by starts")
    assert found == [
        ("2026-01-15T00:00:00.000Z", 1, 1),
        ("2026-01-16T00:00:00.000Z", 1, 1),
        ("2026-01-16T09:29:59.999Z", 1, 1),
        ("2026-01-16T09:30:00.000Z", 1, 0),
        ("2026-01-16T10:00:00.000Z", 1, 0),
    ]
