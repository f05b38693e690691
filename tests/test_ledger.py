"""class Ledger as users have it: recording, assigning, several threads and processes, crashes and locks."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support import NOON, call, query, raw, tool_call

from agent_ledger import Call, InvalidRecord, Ledger, LedgerError, Recorded, ToolCall, clock, schema
from agent_ledger import ledger as ledger_module

MINIMAL = {"agent_id": "a", "model": "m", "prompt_tokens": 1, "completion_tokens": 2}


def count(ledger: Ledger | Path, table: str = "ledger") -> int:
    return int(query(ledger, f"select count(*) from {table}")[0][0])


# -- the contract -----------------------------------------------------------------------------------------------------


def test_the_example_of_the_contract(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path / "ledger.db"))
    fields: dict[str, Any] = {
        "agent_id": "fraud-classifier", "request_id": "req_1", "model": "claude-sonnet-4-5",
        "prompt_tokens": 1200, "completion_tokens": 300, "customer_id": "acme",
    }  # fmt: skip
    assert ledger.record_call(**fields) is True
    assert ledger.record_call(**fields) is False
    tool = {"request_id": "req_1", "tool": "get_object", "server": "s3", "resource_id": "invoices-bucket"}
    assert ledger.record_tool_call(**tool) is True
    [row] = ledger.rows("cost_by_agent")
    assert row["agent_id"] == "fraud-classifier"
    assert row["cost_usd"] == 0.0081
    assert type(row) is dict
    ledger.close()


@pytest.mark.usefixtures("no_sources")
class TestRecording:
    def test_dataclasses_and_mappings_can_be_mixed(self, ledger: Ledger) -> None:
        assert ledger.record_calls([Call(**MINIMAL), call()]) == Recorded(added=2, already_there=0)
        assert ledger.record_tool_calls([ToolCall(tool="t"), tool_call()]) == Recorded(added=2, already_there=0)

    def test_batches_say_what_was_there_already(self, ledger: Ledger) -> None:
        rows = [call(request_id=str(number)) for number in range(10)]
        assert ledger.record_calls(rows[:6]) == Recorded(added=6, already_there=0)
        assert ledger.record_calls(iter(rows)) == Recorded(added=4, already_there=6)
        assert ledger.record_calls([*rows, *rows]) == Recorded(added=0, already_there=20)
        assert ledger.record_calls([]) == Recorded(added=0, already_there=0)

    def test_ids_and_times_are_made_sortable_and_unique(self, ledger: Ledger) -> None:
        before = clock.now()
        ledger.record_calls(dict(MINIMAL) for _ in range(500))
        made = query(ledger, "select request_id, ts from ledger order by id")
        assert len({request_id for request_id, _ in made}) == 500
        assert [request_id[:9] for request_id, _ in made] == sorted(request_id[:9] for request_id, _ in made)
        assert all(before <= ts <= clock.now() for _, ts in made)

    def test_a_bad_row_stops_its_chunk_and_nothing_else(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ledger_module, "_CHUNK", 10)
        rows = [call(request_id=str(number)) for number in range(35)]
        broken = [*rows[:25], call(request_id="bad", prompt_tokens=-1), *rows[25:]]
        with pytest.raises(InvalidRecord) as error:
            ledger.record_calls(broken)
        assert (error.value.field, error.value.value) == ("prompt_tokens", -1)
        assert count(ledger) == 20
        assert ledger.record_calls(rows) == Recorded(added=15, already_there=20)

    def test_an_endless_iterable_is_read_in_chunks(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ledger_module, "_CHUNK", 10)

        def stream() -> Iterator[dict[str, Any]]:
            for number in itertools.count():
                if number == 25:
                    assert count(ledger) == 20, "what was before is committed"
                    raise KeyboardInterrupt
                yield call(request_id=str(number))

        with pytest.raises(KeyboardInterrupt):
            ledger.record_calls(stream())
        assert count(ledger) == 20
        assert ledger.record_call(**call(request_id="after")) is True

    @pytest.mark.parametrize(
        "fields",
        [
            {"prompt_tokens": float("nan")}, {"prompt_tokens": float("inf")}, {"prompt_tokens": -float("inf")},
            {"prompt_tokens": True}, {"prompt_tokens": 10**15}, {"prompt_tokens": 2**70}, {"agent_id": ""},
            {"agent_id": "a\0"}, {"agent_id": "\ud800"}, {"colour": "red"}, {"ts": "2026-02-30T00:00:00.000Z"},
            {"ts": "2026-01-01T24:00:00.000Z"}, {"ts": "2026-13-01T00:00:00.000Z"}, {"ts": "tomorrow"},
            {"reported_cost_usd": float("nan")}, {"cache_read_tokens": 10**9},
        ],
    )  # fmt: skip
    def test_bad_values_are_refused_naming_field_and_value(self, ledger: Ledger, fields: dict[str, Any]) -> None:
        [(field, value)] = fields.items()
        for record in (
            lambda: ledger.record_call(**call(**fields)),
            lambda: ledger.record_calls([call(request_id="sound"), call(**fields)]),
        ):
            with pytest.raises(InvalidRecord) as error:
                record()
            assert error.value.field == field
            assert error.value.value is value or error.value.value == value
            assert field in str(error.value)
        assert count(ledger) == 0
        assert ledger.record_call(**call()) is True

    def test_times_of_every_usual_form(self, ledger: Ledger) -> None:
        forms = ["2026-01-31T10:00:00+0100", "2026-01-31T09:00:00Z", 1769850000, date(2026, 1, 31)]
        for number, ts in enumerate(forms):
            ledger.record_call(**call(request_id=str(number), ts=ts))
        assert [ts[:13] for (ts,) in query(ledger, "select ts from ledger order by id")] == [
            *["2026-01-31T09"] * 3, "2026-01-31T00",
        ]  # fmt: skip

    def test_a_missing_argument_is_an_error_however_many_others_there_are(self, ledger: Ledger) -> None:
        for missing in MINIMAL:
            fields = {name: value for name, value in call().items() if name != missing}
            with pytest.raises(InvalidRecord) as error:
                ledger.record_call(**fields)
            assert error.value.field == missing
        assert count(ledger) == 0

    def test_rows_can_be_filtered(self, ledger: Ledger) -> None:
        ledger.record_calls([call(request_id="1", customer_id="acme"), call(request_id="2")])
        assert [row["request_id"] for row in ledger.rows("ledger", customer_id="acme")] == ["1"]
        assert [row["request_id"] for row in ledger.rows("ledger", customer_id=None)] == ["2"]
        assert ledger.rows("ledger", customer_id="acme", request_id="2") == []

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"view": "cost_by_planet"}, "there is no view or table 'cost_by_planet': there are "),
            ({"view": 'usage"; drop table ledger; --'}, "there is no view or table"),
            ({"view": "usage", "colour": 1}, "usage has no column 'colour': it has "),
            ({"view": "usage", "as_of": "soon"}, "as_of is 'soon': give a date or a time"),
        ],
    )
    def test_a_wrong_question_gets_a_sentence(self, ledger: Ledger, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(LedgerError, match=message):
            ledger.rows(**arguments)


# -- assignments ------------------------------------------------------------------------------------------------------


class TestAssign:
    def held(self, ledger: Ledger) -> list[tuple[Any, ...]]:
        return query(ledger, "select valid_from, team, feature, owner from assignment order by agent_id, valid_from")

    def test_the_first_holds_since_ever_and_the_next_from_today(self, ledger: Ledger) -> None:
        ledger.assign("a", team="one")
        ledger.assign("a", team="two")
        today = f"{clock.now()[:10]}T00:00:00.000Z"
        assert self.held(ledger) == [(clock.BEGINNING, "one", None, None), (today, "two", None, None)]

    def test_what_is_not_given_stays(self, ledger: Ledger) -> None:
        ledger.assign("a", team="one", feature="search")
        held = ledger.assign("a", owner="zoe", valid_from="2026-03-01")
        assert (held.team, held.feature, held.owner) == ("one", "search", "zoe")
        earlier = ledger.assign("a", feature="chat", valid_from=date(2026, 2, 1))
        assert (earlier.team, earlier.feature, earlier.owner) == ("one", "chat", None)
        assert [row[2] for row in self.held(ledger)] == ["search", "chat", "search"]

    def test_a_correction_of_the_same_moment_replaces_it(self, ledger: Ledger) -> None:
        ledger.assign("a", team="one", valid_from="2026-03-01")
        ledger.assign("a", team="two", valid_from="2026-03-01T00:00:00Z")
        assert self.held(ledger) == [("2026-03-01T00:00:00.000Z", "two", None, None)]
        assert count(ledger, "agent_assignment") == 2

    def test_calls_belong_to_the_team_of_their_time(self, ledger: Ledger, no_sources: None) -> None:  # noqa: ARG002
        ledger.assign("a", team="one", feature="search")
        ledger.assign("a", team="two", valid_from="2026-02-01")
        for ts in ("2026-01-31T23:59:59.999Z", "2026-02-01T00:00:00.000Z"):
            ledger.record_call(**call(request_id=ts, ts=ts))
        ledger.record_call(**call(request_id="own", feature="chat"))
        found = [(row["team"], row["feature"]) for row in ledger.rows("call_cost")]
        assert found == [("one", "search"), ("two", "search"), ("one", "chat")]

    def test_nothing_to_assign_is_refused(self, ledger: Ledger) -> None:
        with pytest.raises(LedgerError, match="give a team, a feature or an owner"):
            ledger.assign("a")
        with pytest.raises(InvalidRecord, match="agent_id"):
            ledger.assign("", team="x")
        with pytest.raises(InvalidRecord, match="valid_from"):
            ledger.assign("a", team="x", valid_from="someday")
        assert count(ledger, "agent_assignment") == 0

    @pytest.mark.parametrize("team", ["", "x\0y", "\ud800", 5, 2**70])
    def test_bad_values_are_refused_as_everywhere(self, ledger: Ledger, team: Any) -> None:
        with pytest.raises(InvalidRecord) as error:
            ledger.assign("a", team=team)
        assert error.value.field == "team"
        assert count(ledger, "agent_assignment") == 0


# -- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_sources")
class TestFile:
    def test_rows_are_there_after_reopening(self, tmp_path: Path) -> None:
        path = tmp_path / "ledger.db"
        with Ledger(path) as ledger:
            ledger.record_call(**call())
        with Ledger(path) as ledger:
            assert ledger.record_call(**call()) is False
            assert count(ledger) == 1

    def test_a_closed_ledger_says_so(self, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path / "ledger.db")
        ledger.close()
        ledger.close()
        closed: list[Callable[[], object]] = [
            lambda: ledger.record_call(**call()),
            lambda: ledger.record_calls([call()]),
            lambda: ledger.record_tool_call(**tool_call()),
            lambda: ledger.assign("a", team="x"),
        ]
        for use in closed:
            with pytest.raises(LedgerError, match="is closed: open the ledger again"):
                use()

    @pytest.mark.parametrize(("synchronous", "level"), [("normal", 1), ("full", 2)])
    def test_how_durable_a_commit_is(self, tmp_path: Path, synchronous: str, level: int) -> None:
        with Ledger(tmp_path / "ledger.db", synchronous=synchronous) as ledger:
            connection = ledger._writer.live()
            assert connection.execute("pragma synchronous").fetchone() == (level,)
            assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
            assert connection.execute("pragma foreign_keys").fetchone() == (1,)

    def test_synchronous_is_one_of_two(self, tmp_path: Path) -> None:
        with pytest.raises(LedgerError, match='give "normal" or "full"'):
            Ledger(tmp_path / "ledger.db", synchronous="off")
        assert not (tmp_path / "ledger.db").exists()

    def test_a_locked_file_is_a_sentence_and_loses_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(schema, "BUSY_TIMEOUT_S", 0.05)
        with Ledger(tmp_path / "ledger.db") as ledger:
            ledger.record_call(**call(request_id="before"))
            with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
                other.execute("begin immediate")
                for use in (
                    lambda: ledger.record_call(**call()),
                    lambda: ledger.record_calls([call()]),
                    lambda: ledger.assign("a", team="x"),
                ):
                    with pytest.raises(LedgerError, match="can't be written: database is locked") as error:
                        use()
                    assert not isinstance(error.value, InvalidRecord)
                assert len(ledger.rows("ledger")) == 1, "reading goes on"
                other.execute("rollback")
            assert ledger.record_call(**call()) is True
            assert count(ledger) == 2

    def test_pricing_a_new_model_under_a_lock_is_one_warning(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def locked(*_: object, **__: object) -> None:
            raise sqlite3.OperationalError("database is locked")

        monkeypatch.setattr("agent_ledger.price_lookup.look_up", locked)
        with caplog.at_level(logging.WARNING, "agent_ledger"):
            assert ledger.record_call(**call()) is True
        assert len(caplog.records) == 1

    def test_threads_share_one_ledger(self, ledger: Ledger) -> None:
        results: list[bool] = []

        def work(thread: int) -> None:
            for number in range(200):
                results.append(ledger.record_call(**call(request_id=f"{thread}-{number}", model=f"m{number % 3}")))

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [True] * 1600
        assert count(ledger) == 1600
        assert query(ledger, "select count(*) from rate_key where resolved_at is not null") == [(3,)]

    def test_threads_that_say_the_same_add_it_once(self, ledger: Ledger) -> None:
        results: list[bool] = []
        threads = [threading.Thread(target=lambda: results.append(ledger.record_call(**call()))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == [False] * 7 + [True]


WRITER = textwrap.dedent(
    """
    import sys
    from agent_ledger import Ledger

    path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    sys.stdin.readline()  # all start at once
    with Ledger(path) as ledger:
        for number in range(count):
            added = ledger.record_call(agent_id=name, request_id=f"{name}-{number}", model="m", prompt_tokens=1,
                                       completion_tokens=1, provider="nobody")
            print(number, added, flush=True)
    """
)


def writer(path: Path, name: str, calls: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name, str(calls)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_processes_make_and_fill_one_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    writers = [writer(path, f"p{number}", 200) for number in range(4)]
    for process in writers:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    for process in writers:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert output.count("True") == 200
    with Ledger(path) as ledger:
        assert query(ledger, "select agent_id, count(*) from ledger group by 1") == [(f"p{n}", 200) for n in range(4)]
        assert query(ledger, "pragma integrity_check") == [("ok",)]


@pytest.mark.parametrize("lock", ["begin; select count(*) from ledger", "begin immediate"])
def test_opening_waits_for_who_has_a_file_that_is_not_in_wal_mode_yet(tmp_path: Path, lock: str) -> None:
    """Switching to WAL is where SQLite does not wait by itself."""
    path = tmp_path / "ledger.db"
    with Ledger(path):
        pass
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("pragma journal_mode = delete")
    for statement in lock.split("; "):
        other.execute(statement).fetchall()
    release = threading.Timer(0.3, lambda: other.execute("commit"))
    release.start()
    try:
        with Ledger(path) as ledger:
            assert query(ledger, "pragma journal_mode") == [("wal",)]
    finally:
        release.join()
        other.close()


def test_a_killed_writer_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with writer(path, "p", 1_000_000) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("\n")
        process.stdin.flush()
        acknowledged = [next(process.stdout) for _ in range(300)]
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += list(process.stdout)
    complete = [line for line in acknowledged if line.endswith("True\n")]
    assert len(complete) >= 300
    with Ledger(path) as ledger:
        there = {request_id for (request_id,) in query(ledger, "select request_id from ledger")}
        assert there >= {f"p-{line.split()[0]}" for line in complete}
        assert query(ledger, "pragma integrity_check") == [("ok",)]
        assert ledger.record_call(**call()) is True


def in_child(work: Callable[[], None]) -> int:
    """Fork, do `work` there, and return the exit code; -1 where it takes longer than four seconds."""
    child = os.fork()
    if child == 0:  # pragma: no cover
        signal.alarm(4)
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("no_sources")
class TestFork:
    def test_parent_and_child_both_record(self, ledger: Ledger) -> None:
        ledger.record_call(**call(request_id="before"))
        assert in_child(lambda: ledger.record_call(**call(request_id="child")) or None) == 0
        ledger.record_call(**call(request_id="after"))
        found = [request_id for (request_id,) in query(ledger, "select request_id from ledger order by id")]
        assert found == ["before", "child", "after"]

    def test_a_child_is_not_stopped_by_what_another_thread_held(self, ledger: Ledger) -> None:
        """The lock of another thread is held for ever in the child: nobody is left there to release it."""
        held, release = threading.Event(), threading.Event()

        def hold() -> None:
            with ledger._writer.lock():
                held.set()
                release.wait(30)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(30)
        try:
            assert in_child(lambda: ledger.record_call(**call(request_id="child")) or None) == 0
        finally:
            release.set()
            thread.join()
        assert count(ledger) == 1

    def test_closing_in_the_child_leaves_the_parent_alone(self, ledger: Ledger) -> None:
        assert in_child(ledger.close) == 0
        assert ledger.record_call(**call(ts=NOON)) is True


def test_the_public_ledger_can_be_read_while_it_is_written(ledger: Ledger) -> None:
    ledger.record_call(**call())
    with raw(ledger) as connection:
        connection.execute("begin")
        connection.execute("select * from ledger").fetchall()
        assert ledger.record_call(**call(request_id="2")) is True
        assert connection.execute("select count(*) from ledger").fetchone() == (1,)
