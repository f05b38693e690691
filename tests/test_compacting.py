"""Compacting in steps, while others write, and however it is interrupted."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import pytest
from support import call, exit_code, locked, price, query, start_child, tool_call

from agent_ledger import Ledger, LedgerError, compacting, rollup
from agent_ledger.call_sums import CallSums
from agent_ledger.schema import open_for_writing

VIEWS = ("cost_by_agent", "cost_by_customer", "cost_by_model", "cost_by_day", "unpriced_calls")


@contextmanager
def connected(ledger: Ledger) -> Iterator[sqlite3.Connection]:
    with closing(open_for_writing(ledger.path, synchronous="normal")) as connection:
        yield connection


@pytest.fixture
def filled(ledger: Ledger, no_sources: None) -> Ledger:  # noqa: ARG001
    """300 calls of a few agents and customers over two months, and what they cost."""
    rng = random.Random(1)
    ledger.assign("a0", team="x")
    ledger.set_prices([price("m", input=3, output=15)])
    ledger.record_calls(some(rng, 300))
    return ledger


def some(rng: random.Random, count: int, name: str = "r") -> list[dict[str, object]]:
    return [
        call(
            request_id=f"{name}{number}",
            ts=f"2026-0{rng.randrange(1, 3)}-{rng.randrange(1, 28):02d}T{rng.randrange(24):02d}:00:00.000Z",
            agent_id=f"a{rng.randrange(4)}",
            customer_id=rng.choice([None, "acme", "zeta"]),
            model=rng.choice(["m", "m", "n"]),
            prompt_tokens=rng.randrange(1000),
            usage=rng.choice([None, None, {"seconds": 1.25}, {"images": 2}]),
        )
        for number in range(count)
    ]


def figures(ledger: Ledger) -> list[list[tuple[object, ...]]]:
    return [query(ledger, f"select * from {view} order by 1, 2, 3, 4") for view in VIEWS]


def rolled(ledger: Ledger) -> int:
    return int(query(ledger, "select ledger_row from compacted")[0][0])


def test_it_goes_in_steps_and_changes_no_figure(filled: Ledger) -> None:
    before = figures(filled)
    steps: list[int] = []
    with connected(filled) as connection:
        assert compacting.reach(connection) == (0, 300)
        assert compacting.compact(connection, up_to=250, rows=100, advance=steps.append) == 250
        assert steps == [100, 100, 50]
        assert figures(filled) == before
        assert compacting.compact(connection) == 50
        assert compacting.compact(connection) == 0
    assert figures(filled) == before
    assert rolled(filled) == 300
    loose = query(filled, "select count(*) from ledger where usage like '%1.25%'")
    assert query(filled, "select count(*) from usage_loose") == loose != [(0,)]


def test_the_library_says_how_many(filled: Ledger) -> None:
    steps: list[int] = []
    assert filled.compact(up_to=120, advance=steps.append) == 120 == sum(steps)
    assert filled.compact() == 180
    assert filled.record_call(**call(request_id="more"))
    assert filled.compact() == 1


def test_an_empty_ledger(ledger: Ledger) -> None:
    assert ledger.compact() == 0
    assert figures(ledger) == [[]] * len(VIEWS)


def test_rows_can_not_slip_in_below(filled: Ledger) -> None:
    """Nothing would ever sum a row with an id that the rollups have passed."""
    row = "insert into ledger (id, ts, agent_id, request_id, model) values (?, ?, 'a', ?, 'm')"
    with connected(filled) as connection:
        connection.execute(row, [1000, "2026-01-01T00:00:00.000Z", "after a gap"])
        compacting.compact(connection)
        with pytest.raises(sqlite3.IntegrityError, match="rises"):
            connection.execute(row, [999, "2026-01-01T00:00:00.000Z", "below"])
        connection.execute(row, [1001, "2026-01-01T00:00:00.000Z", "above"])
        connection.execute(row, [None, "2026-01-01T00:00:00.000Z", "next"])
    assert query(filled, "select sum(calls) from cost_by_agent") == [(303,)]


# -- together ---------------------------------------------------------------------------------------------------------


def test_what_was_summed_is_summed_again_where_it_changed_meanwhile(
    filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between summing and writing, another process records a fuller account of a call, and a later price."""
    stage = rollup.stage
    happened: list[bool] = []

    def then_something_happens(connection: sqlite3.Connection, *arguments: Any) -> CallSums:
        staged = stage(connection, *arguments)
        if not happened:
            happened.append(filled.record_call(**call(request_id="r7", prompt_tokens=999_999, completion_tokens=9)))
            filled.set_prices([price("m", input=5, output=15, effective_from="2026-01-15T00:00:00.000Z")])
        return staged

    monkeypatch.setattr(rollup, "stage", then_something_happens)
    filled.compact()
    monkeypatch.undo()
    seen = figures(filled)
    assert happened == [True]
    assert rolled(filled) == 300
    with connected(filled) as connection:
        connection.execute("update rollup_state set ledger_row = 0")
    assert figures(filled) == seen


def test_two_at_once(filled: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process compacts the same rows while this one sums them."""
    stage = rollup.stage
    done: list[bool] = []
    before = figures(filled)

    def while_another_compacts(connection: sqlite3.Connection, *arguments: Any) -> CallSums:
        staged = stage(connection, *arguments)
        if not done:
            done.append(True)
            with connected(filled) as other:
                compacting.compact(other, up_to=170, rows=40)
        return staged

    monkeypatch.setattr(rollup, "stage", while_another_compacts)
    with connected(filled) as connection:
        compacting.compact(connection, rows=100)
    assert rolled(filled) == 300
    assert figures(filled) == before


def test_killed_at_any_moment(filled: Ledger) -> None:
    before = figures(filled)
    rng = random.Random(2)

    def work() -> None:
        with connected(filled) as connection:
            compacting.compact(connection, rows=3)

    for _ in range(12):
        child = start_child(work)
        time.sleep(rng.random() * 0.03)
        os.kill(child, signal.SIGKILL)
        exit_code(child)
        assert figures(filled) == before
    filled.compact()
    assert figures(filled) == before
    assert (
        query(filled, "select sum(calls) from usage_rollup group by grain")
        == query(filled, "select count(*) from usage where id not in (select id from usage_loose)") * 6
    )


def test_killed_between_any_two_statements(filled: Ledger) -> None:
    """Two steps of calls and one of tool calls, which may end after every so many statements."""
    filled.record_tool_calls(tool_call(request_id=f"r{number}", tool_call_id=f"t{number}") for number in range(9))
    filled.close()
    before = (figures(filled), query(filled, "select * from cost_by_tool"))
    start = filled.path.read_bytes()

    def work(last: int) -> None:
        counter = itertools.count(1)

        def die(_: str) -> None:
            if next(counter) == last:
                os.kill(os.getpid(), signal.SIGKILL)

        with connected(filled) as connection:
            connection.set_trace_callback(die)
            compacting.compact(connection, rows=150)

    killed = 0
    for last in itertools.count(1, 131):
        ended = exit_code(start_child(partial(work, last)))
        assert (figures(filled), query(filled, "select * from cost_by_tool")) == before
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        killed += 1
        with connected(filled) as connection:
            compacting.compact(connection)
        assert (figures(filled), query(filled, "select * from cost_by_tool")) == before
        for suffix in ("-wal", "-shm"):
            filled.path.with_name(filled.path.name + suffix).unlink(missing_ok=True)
        filled.path.write_bytes(start)
    assert killed > 10


def test_while_another_process_records(filled: Ledger) -> None:
    more = some(random.Random(3), 400, "late")

    def work() -> None:
        with Ledger(filled.path) as own:
            for fields in more:
                own.record_call(**fields)

    child = start_child(work)
    with connected(filled) as connection:
        while compacting.reach(connection).recorded < 700:
            compacting.compact(connection, rows=20)
            once = "select sum(calls) from usage_cost where grain in (?, 'call')"
            in_order = [connection.execute(once, [grain]).fetchone()[0] for grain in ("hour", "customer_month")]
            assert 300 <= in_order[0] <= in_order[1]
        compacting.compact(connection)
    assert exit_code(child) == 0
    assert rolled(filled) == 700
    seen = figures(filled)
    with connected(filled) as connection:
        connection.execute("update rollup_state set ledger_row = 0")
    assert figures(filled) == seen


# -- by itself --------------------------------------------------------------------------------------------------------


def test_the_library_compacts_as_the_ledger_grows(filled: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "SLACK", 50)
    monkeypatch.setattr(compacting, "PAUSE", 0)
    monkeypatch.setattr(compacting, "_SMALL_STEP", 20)
    before = query(filled, "select count(*) from usage")[0][0]
    with Ledger(filled.path) as own:
        own.record_call(**call(request_id="one"))
        assert rolled(filled) == 20  # one call waits for one step only
        for number in range(200):
            own.record_call(**call(request_id=f"more{number}"))
        assert 301 < rolled(filled) < 501
        own.record_calls(call(request_id=f"bulk{number}") for number in range(100))
        assert 601 - rolled(filled) < 50
    assert query(filled, "select sum(calls) from cost_by_agent") == [(before + 301,)]


def test_live_capture_compacts_too(filled: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compacting, "SLACK", 50)
    filled.stamp_call(**call(request_id="live"))
    assert rolled(filled) > 0


def test_what_can_not_be_compacted_is_recorded_all_the_same(filled: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(compacting, "keep_up", broken)
    assert filled.record_call(**call(request_id="one"))
    assert rolled(filled) == 0
    assert query(filled, "select count(*) from ledger where request_id = 'one'") == [(1,)]


def test_a_locked_file_is_one_sentence(filled: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_ledger.schema.BUSY_TIMEOUT_S", 0.01)
    with locked(filled), pytest.raises(LedgerError, match="can't be compacted: database is locked"):
        filled.compact()


# -- how views are read -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        *(
            f"select * from cost_by_{axis}"
            for axis in ("agent", "team", "feature", "customer", "model", "day", "month")
        ),
        "select * from daily_cost",
        "select * from daily_cost where day = '2026-01-15'",
        "select sum(cost_usd) from daily_cost where agent_id = 'a1' and day >= '2026-02-01'",
        "select * from daily_cost where customer_id = 'acme'",
    ],
)
def test_no_view_scans_the_ledger(filled: Ledger, sql: str) -> None:
    filled.compact()
    plan = [row[3] for row in query(filled, f"explain query plan {sql}")]
    assert any("usage_rollup USING PRIMARY KEY (grain=? AND key_id=?" in line for line in plan), plan
    assert not [line for line in plan if line.startswith("SCAN ledger")]
    assert {line for line in plan if "SEARCH ledger" in line} <= {
        "SEARCH ledger USING INTEGER PRIMARY KEY (rowid>?)",  # what came later
        "SEARCH ledger USING INTEGER PRIMARY KEY (rowid=?)",  # what stands alone
    }


def test_a_day_leads_straight_to_its_rows(filled: Ledger) -> None:
    filled.compact()
    plan = [row[3] for row in query(filled, "explain query plan select * from daily_cost where day = '2026-01-15'")]
    assert "SEARCH usage_rollup USING PRIMARY KEY (grain=? AND key_id=? AND bucket=?)" in plan


def test_a_step_does_not_look_through_the_rollups(filled: Ledger) -> None:
    filled.compact()
    asked: list[str] = []
    with connected(filled) as connection:
        connection.set_trace_callback(asked.append)
        compacting.compact(connection)
        connection.set_trace_callback(None)
        reads = [sql for sql in asked if "from usage_rollup" in sql]
        plans = [row[3] for sql in reads for row in connection.execute(f"explain query plan {sql}")]
    assert [plan for plan in plans if "usage_rollup" in plan] == [
        "SCAN usage_rollup USING INDEX usage_rollup_forgotten"
    ]
