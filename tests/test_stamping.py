"""Nothing gets in the agent's way, and nothing gets lost: a ledger that is locked, and values that may not enter."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from outages import Time, found, prepare, stamp, waiting, warnings
from support import call, empty_file, locked, query, tool_call

from agent_ledger import Ledger, spool, stamping
from agent_ledger.connection import Writer
from agent_ledger.recording import CALLS, TOOL_CALLS
from agent_ledger.stamping import Stamper

pytestmark = [
    pytest.mark.usefixtures("no_sources"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    told = Time()
    monkeypatch.setattr(stamping, "time", told)
    return told


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    prepare(monkeypatch, tmp_path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    path.write_bytes(empty_file())
    return path


@pytest.fixture
def stamper(path: Path) -> Iterator[Stamper]:
    opened = Stamper(path, synchronous="normal")
    yield opened
    opened.close()


# -- a ledger that is locked ------------------------------------------------------------------------------------------


def test_a_locked_ledger_costs_the_agent_a_quarter_of_a_second_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stamping, "_WAIT_S", 0.25)  # as it is
    stamper = Stamper(path, synchronous="normal")
    assert stamp(stamper, "before") == 1
    with locked(path):
        start = time.perf_counter()
        assert stamp(stamper, "first") == 0
        first = time.perf_counter() - start
        assert 0.2 < first < 1  # a little more than a quarter
        assert waiting(path) == 1
        start = time.perf_counter()
        for number in range(50):
            assert stamp(stamper, f"next {number}") == 0
        assert time.perf_counter() - start < 1, "none of them waits"
        assert found(path) == ["before"]
        assert waiting(path) == 51
    [warning] = warnings(caplog)
    assert "database is locked" in warning
    assert str(spool.files(path)[0]) in warning
    assert f"`agent-ledger replay {path}`" in warning
    stamper.close()


def test_the_ledger_is_tried_again_after_a_pause_and_then_has_everything(
    stamper: Stamper, path: Path, clock: Time, caplog: pytest.LogCaptureFixture
) -> None:
    with locked(path):
        stamp(stamper, "1")
        stamp(stamper, "2")
        stamper.stamp(TOOL_CALLS, tool_call())
    clock.now += 0.99
    assert stamp(stamper, "3") == 0
    assert found(path) == []
    clock.now += 0.02
    with caplog.at_level(logging.INFO, "agent_ledger"):
        assert stamp(stamper, "4") == 5
    assert found(path) == ["1", "2", "3", "4"]
    assert query(path, "select tool_call_id from audit") == [("tc",)]
    assert spool.files(path) == []
    assert len(warnings(caplog)) == 1
    assert caplog.records[-1].getMessage().endswith("has the rows that had to wait")
    assert stamp(stamper, "5") == 1


def test_a_long_outage_is_looked_at_less_and_less_often(stamper: Stamper, path: Path, clock: Time) -> None:
    tries = []
    with locked(path):
        for second in range(100):
            before = stamper._retry_at
            stamp(stamper, f"{second:03}")
            if stamper._retry_at != before:
                tries.append(second)
            clock.now += 1
    assert tries == [0, 1, 3, 7, 15, 31, 61, 91]
    clock.now += 30
    assert stamp(stamper, "100") == 101
    assert found(path) == [f"{number:03}" for number in range(101)]
    with locked(path):
        stamp(stamper, "x")
        assert stamper._retry_at == clock.now + 1, "a new outage begins anew"


def test_each_outage_has_its_warning(
    stamper: Stamper, path: Path, clock: Time, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        with locked(path):
            stamp(stamper, f"{number}a")
            stamp(stamper, f"{number}b")
            clock.now += 1
            stamp(stamper, f"{number}c")
        clock.now += 5
        stamp(stamper, f"{number}d")
    assert len(warnings(caplog)) == 3
    assert len(found(path)) == 12


def test_each_row_that_follows_brings_one_file_in(
    stamper: Stamper, path: Path, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "ROWS_PER_FILE", 10)
    with locked(path):
        for number in range(25):
            stamp(stamper, f"{number:02}")
    clock.now += 1
    assert [stamp(stamper, f"after {number}") for number in range(4)] == [11, 11, 6, 1]
    assert len(found(path)) == 29


def test_a_ledger_that_is_locked_again_while_rows_come_in(
    stamper: Stamper, path: Path, clock: Time, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with locked(path):
        for number in range(3):
            stamp(stamper, str(number))
    clock.now += 1
    real = spool.bring_in_file
    with ExitStack() as stack:

        def lock_first(*args: Any) -> int | None:
            stack.enter_context(locked(path))
            return real(*args)

        with monkeypatch.context() as patched:
            patched.setattr(spool, "bring_in_file", lock_first)
            assert stamp(stamper, "3") == 1
        assert found(path) == ["3"]
        assert stamp(stamper, "4") == 0
    clock.now += 2
    assert stamp(stamper, "5") + stamp(stamper, "6") == 6
    assert found(path) == [str(number) for number in range(7)]
    assert len(warnings(caplog)) == 1


def test_closing_brings_everything_in(stamper: Stamper, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "ROWS_PER_FILE", 10)
    with locked(path):
        for number in range(25):
            stamp(stamper, str(number))
    stamper.close()
    assert len(found(path)) == 25
    assert spool.files(path) == []
    stamper.close()


def test_closing_while_it_is_locked_leaves_the_rows_to_the_next_opening(stamper: Stamper, path: Path) -> None:
    with locked(path):
        stamp(stamper, "1")
        stamper.close()
        assert waiting(path) == 1
    with Ledger(path) as ledger:
        assert len(ledger.rows("ledger")) == 1
    assert spool.files(path) == []


def test_what_comes_after_closing_is_there_at_the_next_opening(
    stamper: Stamper, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream that ends later than the ledger."""
    stamp(stamper, "1")
    stamper.close()
    assert stamp(stamper, "2") == stamp(stamper, "3") == 0
    assert len(warnings(caplog)) == 1
    with Ledger(path):
        pass
    assert found(path) == ["1", "2", "3"]
    stamper.close()


def test_rows_of_other_processes_do_not_hold_ours_up(stamper: Stamper, path: Path, clock: Time) -> None:
    other = spool.Spool(path)
    other.append(spool.line(CALLS, CALLS.filled(call(request_id="other"))))
    with locked(path):
        stamp(stamper, "1")
    clock.now += 1
    assert stamp(stamper, "2") == 2
    assert found(path) == ["1", "2"]
    other.close()


def test_the_program_may_go_elsewhere(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stamper = Stamper(Path("ledger.db"), synchronous="normal")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert stamp(stamper, "1") == 1
    with locked(path):
        stamp(stamper, "2")
        assert waiting(path) == 1
    stamper.close()
    assert found(path) == ["1", "2"]
    assert not list(elsewhere.iterdir())


# -- values that may not enter ----------------------------------------------------------------------------------------

INVALID = [
    ({"customer_id": "a\0b"}, "customer_id", None),
    ({"customer_id": ""}, "customer_id", None),
    ({"session_id": "\ud800"}, "session_id", None),
    ({"feature": 5}, "feature", None),
    ({"prompt_tokens": 10**12}, "prompt_tokens", None),
    ({"prompt_tokens": 2**70}, "prompt_tokens", None),
    ({"prompt_tokens": -1}, "prompt_tokens", None),
    ({"completion_tokens": "10"}, "completion_tokens", None),
    ({"completion_tokens": True}, "completion_tokens", None),
    ({"completion_tokens": 1.5}, "completion_tokens", None),
    ({"cache_read_tokens": 101}, "cache_read_tokens", None),
    ({"reported_cost_usd": float("nan")}, "reported_cost_usd", None),
    ({"reported_cost_usd": 10.0**9}, "reported_cost_usd", None),
    ({"model": ""}, "model", "(invalid)"),
    ({"model": ["m"]}, "model", "(invalid)"),
    ({"agent_id": None}, "agent_id", "(invalid)"),
    ({"evidence": "hearsay"}, "evidence", "response"),
    ({"part": -1}, "part", 0),
    ({"usage": "none"}, "usage", None),
    ({"usage": {"": 1}}, "usage", None),
    ({"usage": {"a": 1, "b": float("inf")}}, "usage", '{"a": 1}'),
]


@pytest.mark.parametrize(("lock", "seen"), [(False, False), (False, True), (True, True)])
@pytest.mark.parametrize(("fields", "column", "stored"), INVALID, ids=lambda value: str(value)[:30])
def test_a_value_that_may_not_enter_costs_the_value_and_not_the_row(
    path: Path,
    caplog: pytest.LogCaptureFixture,
    fields: dict[str, Any],
    column: str,
    stored: Any,
    lock: bool,
    seen: bool,
) -> None:
    stamper = Stamper(path, synchronous="normal")
    if seen:  # rows with values of these types are looked at quickly from then on
        for values in ({}, {"customer_id": "c"}, {"session_id": "s"}, {"part": 1}, {"cache_read_tokens": 1}):
            assert stamp(stamper, "before", **values) == 1
    with ExitStack() as stack:
        if lock:
            stack.enter_context(locked(path))
        assert stamp(stamper, "1", **fields) == (0 if lock else 1)
    stamper.close()
    assert query(path, f"select {column} from ledger where request_id = '1'") == [(stored,)]
    named = [warning for warning in warnings(caplog) if warning.startswith("A value was not recorded: ")]
    assert [warning.split()[5].partition(".")[0] for warning in named] == [column]
    assert spool.files(path) == []


def test_what_is_wrong_in_other_ways(stamper: Stamper, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stamper.stamp(CALLS, call(request_id="", ts="yesterday", colour="red", taste="sweet", **{"usage.x": 1}))
    [(request_id, ts)] = query(path, "select request_id, ts from ledger")
    assert len(request_id) == 26
    assert ts > "2026"
    named = [warning.removeprefix("A value was not recorded: ").split()[0] for warning in warnings(caplog)]
    assert named == ["ts", "colour", "taste", "usage.x", "request_id"]


def test_rows_with_almost_nothing(stamper: Stamper, path: Path) -> None:
    assert stamper.stamp(CALLS, {}) == 1
    assert stamper.stamp(TOOL_CALLS, {}) == 1
    assert stamper.stamp(TOOL_CALLS, {"tool": 5}) == 1
    [row] = query(path, "select agent_id, model, prompt_tokens, evidence from ledger")
    assert row == ("(invalid)", "(invalid)", None, "response")
    assert query(path, "select tool from audit") == [("(invalid)",)] * 2


# -- rows within rows -------------------------------------------------------------------------------------------------


def test_a_row_that_comes_while_a_row_of_the_same_thread_is_being_written(
    stamper: Stamper, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The garbage collector ends streams wherever a thread is; waiting for itself it would wait for ever."""
    real, inner = Writer.insert, []

    def insert(writer: Writer, *args: Any) -> int:
        if not inner:
            inner.append(stamp(stamper, "inner"))
        return real(writer, *args)

    monkeypatch.setattr(Writer, "insert", insert)
    assert stamp(stamper, "outer") == 2
    assert inner == [0]
    assert found(path) == ["inner", "outer"]


def test_the_last_row_of_all_may_be_such_a_row(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamper = Stamper(path, synchronous="normal")
    real: Callable[[Stamper], bool] = Stamper._has_kept
    inner: list[int] = []

    def late(self: Stamper) -> bool:
        answer = real(self)
        if not inner:
            inner.append(stamp(stamper, "inner"))
        return answer

    monkeypatch.setattr(Stamper, "_has_kept", late)
    assert stamp(stamper, "outer") == 1
    stamper.close()
    assert found(path) == ["inner", "outer"]
