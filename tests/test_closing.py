"""Closing months: what is frozen stays, and everything later shows as a difference with its cause."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import (
    NOON,
    add_bill,
    add_charge,
    add_delivery,
    call,
    nearest_double,
    price,
    query,
    raw,
    spent,
    temporary_ledger,
    tool_call,
)

from agent_ledger import Ledger, clock, closing
from agent_ledger.allocation import allocate
from agent_ledger.errors import InvalidRecord, LedgerError
from agent_ledger.ledger import reading

MOMENT = "2026-02-03T08:00:00.000Z"
MONTH = "2026-01"
SECOND_CLOSE = """
  insert into period_close
  select 9, month, event, recorded_at, null, null, digest, 0, 0, 0, 0, 0, 0, 0, 0, 0 from period_close
"""


def close(ledger: Ledger, month: str = MONTH, **options: Any) -> closing.Closed:
    with raw(ledger) as connection:
        return closing.close(connection, month, **{"moment": MOMENT, **options})


def reopen(ledger: Ledger, month: str = MONTH, reason: str = "a bill was corrected") -> None:
    with raw(ledger) as connection:
        closing.reopen(connection, month, reason)


def closed_rows(ledger: Ledger, axis: str, **options: Any) -> list[dict[str, Any]]:
    with reading(ledger.path) as connection:
        return closing.closed_rows(connection, MONTH, axis, **options)


@pytest.fixture
def billed(ledger: Ledger, no_sources: None) -> Ledger:  # noqa: ARG001
    """LLM calls, tool calls and a bill in January, an unpriced call in February."""
    spent(ledger)
    with raw(ledger) as connection:
        add_bill(connection)
    return ledger


# -- closing ----------------------------------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_views(billed: Ledger) -> None:
    closed = close(billed)
    [total] = [row for row in billed.rows("all_in_by_month") if row["month"] == MONTH]
    assert (closed.month, closed.closed_at) == (MONTH, MOMENT)
    assert (closed.llm_usd, closed.tool_usd, closed.all_in_usd) == tuple(
        total[name] for name in ("llm_usd", "tool_usd", "all_in_usd")
    )
    frozen = query(billed, f"select {', '.join(closing.FIGURES)} from closed_figure order by axis, key")
    now = query(
        billed, f"select {', '.join(closing.FIGURES)} from monthly_figure where month = ? order by axis, key", MONTH
    )
    assert frozen == now
    assert closed.figures == len(frozen)
    assert {row[0] for row in frozen} == {"agent", "team", "feature", "customer", "model", "day", "total"}


def test_the_digest_can_be_computed_by_anybody(billed: Ledger) -> None:
    closed = close(billed)
    head = query(
        billed,
        "select month, recorded_at, ledger_row, audit_row, delivery_row, charge_row, price_revision_row,"
        " tool_price_row, exchange_rate_row, agent_assignment_row, allocation_rule_row from period_close",
    )
    assert head[0][2:] == (4, *(query(billed, f"select coalesce(max(id), 0) from {table}")[0][0] for table in (
        "audit", "delivery", "charge", "price_revision", "tool_price", "exchange_rate", "agent_assignment",
        "allocation_rule",
    )))  # fmt: skip
    lines = head + query(
        billed,
        "select axis, key, calls, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens, llm_4096ths,"
        " llm_picos, unpriced_calls, tool_calls, tool_4096ths, tool_picos, uncosted_calls from closed_figure"
        " order by axis, key",
    )
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    assert closed.digest == hashlib.sha256(text.encode()).hexdigest()
    assert query(billed, "select digest from closed_month") == [(closed.digest,)]


@pytest.mark.parametrize("axis", ["agent", "team", "feature", "customer", "model", "day", "month"])
def test_closed_rows_are_the_rows_of_the_canonical_views(axis: str, ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    """A ledger where everything is in the month that is closed."""
    ledger.assign("a", team="one", feature="search")
    ledger.record_calls(
        [
            call(request_id="1", customer_id="acme", cache_read_tokens=7, cache_write_tokens=5),
            call(request_id="2", model="unknown", agent_id="b", customer_id="only unpriced"),
            call(request_id="3", agent_id="b", prompt_tokens=None, completion_tokens=5, ts="2026-01-16"),
        ]
    )
    ledger.set_prices([price(input=2_000_000, output=5_000_000)])
    ledger.record_tool_calls([tool_call(request_id="1", cost_usd=0.5), tool_call(tool_call_id="2", agent_id="nobody")])
    with raw(ledger) as connection:
        add_bill(connection)
    close(ledger)
    assert closed_rows(ledger, axis) == sorted(ledger.rows(f"cost_by_{axis}"), key=lambda row: next(iter(row.values())))
    if axis != "model":
        assert closed_rows(ledger, axis, all_in=True) == sorted(
            ledger.rows(f"all_in_by_{axis}"), key=lambda row: next(iter(row.values()))
        )


def test_there_are_no_closed_rows_of_what_is_not_closed_or_not_frozen(billed: Ledger) -> None:
    with pytest.raises(LedgerError, match="2026-01 is not closed: agent-ledger close LEDGER 2026-01"):
        closed_rows(billed, "agent")
    close(billed)
    with pytest.raises(LedgerError, match="no figures for --by tool"):
        closed_rows(billed, "tool")
    with pytest.raises(LedgerError, match="no figures for --by model --all-in"):
        closed_rows(billed, "model", all_in=True)
    reopen(billed)
    with pytest.raises(LedgerError, match="not closed"):
        closed_rows(billed, "agent")


def test_a_month_without_calls_has_its_total_and_a_warning(ledger: Ledger) -> None:
    closed = close(ledger)
    assert (closed.figures, closed.all_in_usd, closed.warnings) == (1, None, ("the month has no calls",))
    assert [(row["axis"], row["difference_usd"]) for row in ledger.rows("restatement")] == [("total", 0.0)]
    assert closed_rows(ledger, "month") == []
    assert closed_rows(ledger, "agent", all_in=True) == []


def test_what_is_missing_is_said(billed: Ledger) -> None:
    billed.record_call(**call(request_id="9", model="unknown"))
    billed.record_tool_call(**tool_call(tool_call_id="9"))
    assert close(billed).warnings == (
        "1 of 2 LLM calls have no price",
        "1 of 2 tool calls have no cost",
        "3.75 USD of the bills are allocated to no tool call (lines with a rest: 5)",
        "lines of bills in a currency without exchange rate, and in no figure: 1",
        "the use that the bill anthropic 1 covers ends at 2026-01-16T00:00:00.000Z",
        "the use that the bill aws 1 covers ends at 2026-01-15T13:00:00.000Z",
    )


def test_a_bill_that_covers_the_month_is_no_warning(billed: Ledger) -> None:
    with raw(billed) as connection:
        for bill in ("aws 1", "anthropic 1"):
            later = add_delivery(connection, bill=bill, billing_period="2026-02")
            times = {"period_start": "2026-01-31T23:00:00.000Z", "period_end": "2026-02-01T00:00:00.000Z"}
            add_charge(connection, later, "1", "1", **times)
    assert not [warning for warning in close(billed).warnings if "covers" in warning]


@pytest.mark.parametrize("month", ["2026-13", "2026-00", "2026", "2026-01-01", "october", "", "２０２６-01", "2026-1"])
def test_what_is_no_month_is_refused(ledger: Ledger, month: str) -> None:
    for refused in (
        lambda: close(ledger, month),
        lambda: reopen(ledger, month),
    ):
        with pytest.raises(InvalidRecord, match="give a month such as 2026-10"):
            refused()


@pytest.mark.parametrize("month", ["2026-02", "2026-03", "9999-12"])
def test_a_month_that_is_not_over_is_refused(ledger: Ledger, month: str) -> None:
    with pytest.raises(LedgerError, match=f"{month} is not over yet"):
        close(ledger, month)
    assert query(ledger, "select count(*) from period_close") == [(0,)]


def test_a_month_can_be_closed_from_its_last_moment_on(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="close it from 2026-02-01 on"):
        close(ledger, moment="2026-01-31T23:59:59.999Z")
    close(ledger, moment="2026-02-01T00:00:00.000Z")


def test_without_a_moment_it_is_now(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="not over yet"):
        close(ledger, "2999-01", moment=None)
    assert close(ledger, "2020-01", moment=None).closed_at > "2026"


def test_closing_twice_is_refused(ledger: Ledger) -> None:
    close(ledger)
    with pytest.raises(LedgerError, match=f"2026-01 was closed at {MOMENT}: open it again first"):
        close(ledger)
    close(ledger, "2025-12")


def test_an_allocation_that_is_out_of_date_is_made_anew(billed: Ledger) -> None:
    with raw(billed) as connection:
        add_charge(connection, add_delivery(connection, "third"), "1", "7", resource_id="bucket")
    assert close(billed).tool_usd == 7.0
    [row] = [row for row in closed_rows(billed, "agent", all_in=True) if row["agent_id"] == "a"]
    assert row["tool_usd"] == 7.0


# -- reopening --------------------------------------------------------------------------------------------------------


def test_reopening_is_a_recorded_event_and_keeps_what_was_reported(billed: Ledger) -> None:
    first = close(billed, closed_by="ana", reason="month end")
    reopen(billed)
    assert billed.rows("restatement") == []
    assert billed.rows("closed_month") == []
    billed.record_call(**call(request_id="late"))
    second = close(billed)
    assert second.digest != first.digest
    assert query(billed, "select event, recorded_by, reason, digest from period_close order by id") == [
        ("close", "ana", "month end", first.digest),
        ("reopen", None, "a bill was corrected", None),
        ("close", None, None, second.digest),
    ]
    assert dict(query(billed, "select close_id, count(*) from closed_figure group by 1")) == {
        1: first.figures,
        3: second.figures,
    }
    [total] = billed.rows("restatement")
    assert (total["axis"], total["difference_usd"], total["cause"]) == ("total", 0.0, None)


def test_what_is_not_closed_is_not_opened_again(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="2026-01 is not closed"):
        reopen(ledger)
    close(ledger)
    with pytest.raises(InvalidRecord, match="say why"):
        reopen(ledger, reason=" ")
    reopen(ledger)
    with pytest.raises(LedgerError, match="2026-01 is not closed"):
        reopen(ledger)


# -- the tables refuse ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "update closed_figure set calls = 0",
        "delete from closed_figure",
        "insert into closed_figure (close_id, axis, key, calls, unpriced_calls) values (1, 'agent', 'new', 1, 0)",
        "insert or replace into closed_figure (close_id, axis, key, calls, unpriced_calls) values (1, 'day', '', 1, 0)",
        "insert or replace into closed_figure select * from closed_figure",
        "update period_close set digest = digest",
        "delete from period_close",
        "insert or replace into period_close (id, month, event, reason) values (1, '2026-01', 'reopen', 'x')",
        SECOND_CLOSE,
        "insert into period_close (month, event, reason) values ('2025-12', 'reopen', 'never closed')",
        "insert into period_close (month, event) values ('2026-01', 'reopen')",
        "insert into period_close (month, event, digest) values ('2025-12', 'close', 'short')",
        "insert into period_close (month, event, reason) values ('2026-13', 'reopen', 'x')",
    ],
)
def test_what_was_reported_can_not_be_changed(billed: Ledger, statement: str) -> None:
    close(billed)
    with pytest.raises(sqlite3.IntegrityError), raw(billed) as connection:
        connection.execute(statement)
    with raw(billed) as connection:
        assert closing.verify(connection) == []


def test_figures_without_their_close_are_refused_at_the_end(ledger: Ledger) -> None:
    with pytest.raises(sqlite3.IntegrityError), raw(ledger) as connection:
        connection.execute(
            "insert into closed_figure (close_id, axis, key, calls, unpriced_calls) values (1, 'total', '', 1, 0)"
        )


@pytest.mark.parametrize(
    "tampering",
    [
        "update closed_figure set calls = calls + 1 where axis = 'total'",
        "update closed_figure set llm_picos = null, llm_4096ths = null where axis = 'agent' and key = 'a'",
        "delete from closed_figure where axis = 'day'",
        "update period_close set ledger_row = 0",
        "update period_close set recorded_at = '2026-02-04T00:00:00.000Z'",
    ],
)
def test_tampering_is_found(billed: Ledger, tampering: str) -> None:
    close(billed)
    close(billed, "2025-12")
    with raw(billed) as connection:
        triggers = connection.execute("select name from sqlite_schema where type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"drop trigger {name}")
        connection.execute(f"{tampering}{' and' if 'where' in tampering else ' where'} {_of_january(tampering)}")
        assert closing.verify(connection) == [
            {
                "check": "closed_figures",
                "subject": f"2026-01, closed at {'2026-02-04T00:00:00.000Z' if 'recorded_at' in tampering else MOMENT}",
                "problem": "its figures do not match its digest: bring the file back from a backup",
            }
        ]


def _of_january(tampering: str) -> str:
    return "id = 1" if "period_close" in tampering else "close_id = 1"


# -- whatever happens later -------------------------------------------------------------------------------------------

TIMES = st.sampled_from(
    ["2025-12-31T23:59:59.999Z", "2026-01-01T00:00:00.000Z", NOON, "2026-01-31T23:59:59.999Z", "2026-02-01"]
)
AGENTS = st.sampled_from(["a", "b", "c"])
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), AGENTS, TIMES, st.sampled_from(["m", "n"]), st.integers(0, 10**9)),
        st.tuples(st.just("revised"), AGENTS, TIMES, st.integers(0, 3), st.integers(0, 99)),
        st.tuples(st.just("tool"), AGENTS, TIMES, st.sampled_from(["bucket", "db"]), st.sampled_from([None, 0.1, 3])),
        st.tuples(st.just("price"), st.sampled_from(["m", "n", "*"]), st.integers(1, 4 * 10**9), TIMES),
        st.tuples(st.just("assign"), AGENTS, st.sampled_from(["one", "two"]), TIMES),
        st.tuples(st.just("bill"), st.sampled_from(["aws 1", "aws 2"]), st.integers(-(10**6), 10**6), TIMES),
        st.tuples(st.just("rate"), st.integers(1, 5)),
    ),
    max_size=8,
)


def happen(ledger: Ledger, events: list[tuple[Any, ...]], round_: str) -> None:
    for number, (kind, *what) in enumerate(events):
        name = f"{round_}{number}"
        if kind == "call":
            agent, ts, model, tokens = what
            ledger.record_call(
                **call(
                    request_id=name, agent_id=agent, ts=ts, model=model, prompt_tokens=tokens, response_id=f"{name:>20}"
                )
            )
        elif kind == "revised":
            agent, ts, request, tokens = what
            ledger.record_call(
                **call(request_id=f"same{request}", agent_id=agent, ts=ts, completion_tokens=tokens, evidence="log")
            )
        elif kind == "tool":
            agent, ts, resource, cost = what
            ledger.record_tool_call(
                **tool_call(
                    tool_call_id=name, agent_id=agent, ts=ts, resource_id=resource, cost_usd=cost, request_id=None
                )
            )
        elif kind == "price":
            model, amount, since = what
            since = since if len(since) > 10 else f"{since}T00:00:00.000Z"
            ledger.set_prices([price(model, input=amount, output=amount, effective_from=since)])
        elif kind == "assign":
            ledger.assign(what[0], team=what[1], valid_from=what[2])
        else:
            _bill(ledger, name, kind, what)
    with raw(ledger) as connection:
        allocate(connection)


def _bill(ledger: Ledger, name: str, kind: str, what: list[Any]) -> None:
    with raw(ledger) as connection:
        if kind == "rate":
            connection.execute(
                "insert into exchange_rate (currency, effective_from, usd) values ('EUR', ?, ?)",
                [clock.BEGINNING, *what],
            )
            return
        bill, cents, ts = what
        start = f"{ts[:10]}T00:00:00.000Z"
        delivery = add_delivery(connection, name, bill=bill)
        hours = {"period_start": start, "period_end": f"{ts[:10]}T23:59:59.999Z"}
        add_charge(connection, delivery, "1", f"{cents / 100:.2f}", resource_id="bucket", **hours)
        add_charge(connection, delivery, "2", f"{cents / 50:.2f}", currency="EUR", resource_id="db", **hours)


def exact(ledger: Ledger, table: str) -> dict[tuple[str, str], tuple[int, int, int]]:
    """LLM calls, tool calls and pico-dollars by axis and key."""
    source = "monthly_figure" if table == "monthly_figure" else "closed_figure join closed_month using (close_id)"
    return {
        (axis, key): (calls, tools or 0, (whole or 0) * 244140625 + (rest or 0) + (more or 0) * 244140625 + (last or 0))
        for axis, key, calls, tools, whole, rest, more, last in query(
            ledger,
            "select axis, key, calls, tool_calls, llm_4096ths, llm_picos, tool_4096ths, tool_picos"
            f" from {source} where month = ?",
            MONTH,
        )
    }


def check_restatement(ledger: Ledger) -> None:
    then, now = exact(ledger, "closed_figure"), exact(ledger, "monthly_figure")
    rows = {(row["axis"], row["key"]): row for row in ledger.rows("restatement")}
    nothing = (0, 0, 0)
    sums: Counter[str] = Counter()
    for name in then.keys() | now.keys() | rows.keys():
        before, after = then.get(name, nothing), now.get(name, nothing)
        if name not in rows:
            assert before == after, name
            continue
        row = rows[name]
        difference = row["difference_4096ths"] * 244140625 + row["difference_picos"]
        assert difference == after[2] - before[2], name
        assert row["difference_usd"] == nearest_double(difference)
        assert row["closed_usd"] in (None, nearest_double(before[2]))
        assert row["restated_usd"] in (None, nearest_double(after[2]))
        assert (row["calls_difference"], row["tool_calls_difference"]) == (after[0] - before[0], after[1] - before[1])
        if before != after:
            assert row["cause"], (name, row)
        sums[name[0]] += difference
    total = sums.pop("total")
    assert all(amount == total for axis, amount in sums.items() if axis != "model"), sums


@pytest.mark.slow
@settings(max_examples=40)
@given(before=EVENTS, after=EVENTS)
def test_whatever_comes_later_the_closed_figures_stay_and_the_difference_is_exact(
    before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]
) -> None:
    with temporary_ledger() as ledger:
        happen(ledger, before, "before")
        close(ledger)
        frozen = query(ledger, "select * from closed_figure")
        assert [row["axis"] for row in ledger.rows("restatement")] == ["total"]
        happen(ledger, after, "after")
        assert query(ledger, "select * from closed_figure") == frozen
        check_restatement(ledger)
        with raw(ledger) as connection:
            assert closing.verify(connection) == []
        reopen(ledger)
        close(ledger)
        [total] = ledger.rows("restatement")
        assert (total["axis"], total["difference_usd"], total["cause"]) == ("total", 0.0, None)
        assert query(ledger, "select * from closed_figure where close_id = 1") == frozen
