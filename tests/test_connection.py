"""class Writer: one connection for the threads of a process, its transactions, and what becomes of it in a fork."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import call, empty_file, exit_code, locked, query, start_child

from agent_ledger import LedgerError, connection
from agent_ledger.connection import Writer
from agent_ledger.errors import NotALedger
from agent_ledger.ledger import reading
from agent_ledger.recording import CALLS

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    path.write_bytes(empty_file())
    return path


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    opened = Writer(path, synchronous="normal", timeout=0.01)
    yield opened
    opened.close()


def insert(writer: Writer, *request_ids: str) -> int:
    return writer.insert(CALLS, [CALLS.row(call(request_id=request_id)) for request_id in request_ids])


def found(path: Path) -> list[str]:
    return [request_id for (request_id,) in query(path, "select request_id from ledger order by id")]


def test_rows_go_in_and_are_counted_where_they_are_new(writer: Writer, path: Path) -> None:
    assert insert(writer, "1") == 1
    assert insert(writer, "1") == 0
    assert insert(writer, "1", "2", "3") == 2
    assert insert(writer) == 0
    assert found(path) == ["1", "2", "3"]


def test_a_row_that_is_refused_takes_the_others_with_it(writer: Writer, path: Path) -> None:
    bad = CALLS.row(call(request_id="bad"))
    bad = tuple(-1 if value == 100 else value for value in bad)
    for rows in ([bad], [CALLS.row(call()), bad]):
        with pytest.raises(sqlite3.IntegrityError):
            writer.insert(CALLS, rows)
    assert found(path) == []
    assert insert(writer, "after") == 1


def test_a_file_that_cannot_be_written_is_said_in_one_way(writer: Writer, path: Path) -> None:
    with locked(path):
        for request_ids in (["1"], ["1", "2"]):
            with pytest.raises(LedgerError, match=r"ledger\.db can't be written: database is locked") as error:
                insert(writer, *request_ids)
            assert isinstance(error.value.__cause__, sqlite3.OperationalError)
    assert insert(writer, "1") == 1


def test_a_failure_in_a_transaction_undoes_it(writer: Writer, path: Path) -> None:
    def work() -> None:
        with writer.transaction() as open_:
            open_.execute(CALLS.insert, CALLS.row(call()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert found(path) == []


def test_nothing_of_the_same_thread_gets_into_a_transaction_by_accident(writer: Writer, path: Path) -> None:
    """The garbage collector may end a stream, which is stamped then, wherever the thread is."""
    with writer.transaction() as outer:
        outer.execute(CALLS.insert, CALLS.row(call(request_id="outer")))
        for request_ids in (["1"], ["1", "2"]):
            with pytest.raises(LedgerError, match="in the middle of writing"):
                insert(writer, *request_ids)
        with pytest.raises(LedgerError, match="in the middle of writing"), writer.transaction():
            pass
    assert found(path) == ["outer"]


def test_closed_twice_and_used_afterwards(writer: Writer) -> None:
    writer.close()
    writer.close()
    with pytest.raises(LedgerError, match="is closed: open the ledger again"):
        insert(writer, "1")


@pytest.mark.skipif(os.name == "nt", reason="Windows does not let anybody remove a file that is open")
@pytest.mark.parametrize("replaced", [True, False])
def test_a_file_that_is_gone_takes_no_rows(writer: Writer, path: Path, replaced: bool) -> None:
    """SQLite itself would go on writing where nobody will ever find it."""
    insert(writer, "1")
    path.rename(path.with_name("moved.db"))
    if replaced:
        path.write_bytes(empty_file())
    for request_ids in (["2"], ["2", "3"]):
        with pytest.raises(LedgerError, match="was removed, emptied or replaced: open the ledger again"):
            insert(writer, *request_ids)
    path.with_name("moved.db").rename(path)
    assert insert(writer, "2") == 1
    assert found(path) == ["1", "2"]


def test_what_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(NotALedger, match="is a folder"):
        Writer(tmp_path, synchronous="normal")


def test_threads_share_it(writer: Writer, path: Path) -> None:
    def work(name: str) -> None:
        for number in range(50):
            insert(writer, f"{name}-{number}")
            insert(writer, f"{name}-{number}-a", f"{name}-{number}-b")

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found(path))) == 600


@pytest.mark.parametrize("meanwhile", ["open another", "read", "open what is no ledger"])
def test_other_uses_of_the_file_in_this_process_do_not_take_its_locks(
    writer: Writer, path: Path, meanwhile: str
) -> None:
    """Closing any file descriptor of it would, and the next process to close would remove the WAL."""
    insert(writer, "1")
    if meanwhile == "open another":
        Writer(path, synchronous="normal").close()
    elif meanwhile == "read":
        with reading(path) as connection:
            connection.execute("select * from ledger").fetchall()
    else:
        path.with_name("other.db").write_bytes(b"no ledger" * 100)
        with pytest.raises(NotALedger):
            Writer(path.with_name("other.db"), synchronous="normal")
    program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('select * from ledger'); c.close()"
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=60)
    assert path.with_name("ledger.db-wal").exists()
    insert(writer, "2")
    assert found(path) == ["1", "2"]


@needs_fork
class TestFork:
    def test_a_child_loses_nothing_when_the_parent_closes(self, writer: Writer, path: Path) -> None:
        """SQLite removes the WAL with the last connection. It must see that the child has one."""
        insert(writer, "parent")
        other = Writer(path, synchronous="normal")  # as every ledger has two
        (ready, say_ready), (go, say_go) = os.pipe(), os.pipe()

        def work() -> None:
            insert(writer, "before")
            os.write(say_ready, b".")
            os.read(go, 1)
            insert(writer, "after")
            insert(other, "after too")

        child = start_child(work)
        os.read(ready, 1)
        other.close()
        writer.close()
        os.write(say_go, b".")
        assert exit_code(child) == 0
        assert found(path) == ["parent", "before", "after", "after too"]
        assert query(path, "pragma integrity_check") == [("ok",)]
        for end in (ready, say_ready, go, say_go):
            os.close(end)

    def test_parent_and_child_go_on(self, writer: Writer, path: Path) -> None:
        inherited = writer.live()

        def work() -> None:
            assert insert(writer, "child") == 1
            assert writer.live() is not inherited
            writer.close()
            with pytest.raises(LedgerError, match="is closed"):
                insert(writer, "closed")

        child = start_child(work)
        assert exit_code(child) == 0
        assert insert(writer, "parent") == 1
        assert writer.live() is inherited
        assert found(path) == ["child", "parent"]

    def test_a_child_that_only_closes_or_only_ends(self, writer: Writer, path: Path) -> None:
        for work in (writer.close, lambda: None):
            assert exit_code(start_child(work)) == 0
            assert insert(writer, "1") >= 0
        assert found(path) == ["1"]

    def test_many_threads_of_a_child_begin_at_once(self, writer: Writer, path: Path) -> None:
        """As the workers of a web server do."""

        def work() -> None:
            start = threading.Barrier(8)
            connections = set()

            def one(name: str) -> None:
                start.wait()
                insert(writer, name)
                connections.add(id(writer.live()))

            threads = [threading.Thread(target=one, args=(str(number),)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(connections) == 1

        assert exit_code(start_child(work)) == 0
        assert sorted(found(path)) == [str(number) for number in range(8)]

    def test_a_child_of_a_child(self, writer: Writer, path: Path) -> None:
        def work() -> None:
            insert(writer, "child")
            assert exit_code(start_child(lambda: insert(writer, "grandchild"))) == 0
            insert(writer, "child again")

        assert exit_code(start_child(work)) == 0
        assert found(path) == ["child", "grandchild", "child again"]

    def test_a_closed_one_stays_closed(self, writer: Writer) -> None:
        writer.close()

        def work() -> None:
            with pytest.raises(LedgerError, match="is closed"):
                insert(writer, "1")

        assert exit_code(start_child(work)) == 0

    def test_what_another_thread_is_in_the_middle_of_is_not_closed(
        self, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "_FORK_WAIT_S", 0.05)
        inherited = writer.live()
        begun, end = threading.Event(), threading.Event()

        def long() -> None:
            with writer.transaction() as open_:
                open_.execute(CALLS.insert, CALLS.row(call()))
                begun.set()
                end.wait(30)

        def work() -> None:
            writer.close()
            assert inherited.in_transaction

        thread = threading.Thread(target=long)
        thread.start()
        begun.wait(30)
        try:
            assert exit_code(start_child(work)) == 0
        finally:
            end.set()
            thread.join()
        assert found(writer.path) == ["r"]

    def test_where_the_program_goes_does_not_matter(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Daemons fork, and go to /."""
        monkeypatch.chdir(tmp_path)
        writer = Writer(Path("ledger.db"), synchronous="normal")
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        assert exit_code(start_child(lambda: insert(writer, "child"))) == 0
        writer.close()
        assert found(path) == ["child"]
        assert not list(elsewhere.iterdir())
