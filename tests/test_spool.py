"""The files beside the ledger: who writes them, who brings them in, and that no row is lost or doubled."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from support import call, empty_file, exit_code, query, start_child, tool_call

from agent_ledger import Ledger, LedgerError, spool
from agent_ledger.connection import Writer
from agent_ledger.recording import CALLS, TOOL_CALLS
from agent_ledger.spool import Spool

pytestmark = [
    pytest.mark.usefixtures("no_sources"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
needs_locks = pytest.mark.skipif(spool.fcntl is None, reason="no file locks on this system")


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of the test."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    path.write_bytes(empty_file())
    return path


@pytest.fixture
def write(path: Path) -> Iterator[Callable[..., int]]:
    """Into the ledger."""
    writer = Writer(path, synchronous="normal")
    yield writer.insert
    writer.close()


def line(request_id: str, **changes: Any) -> bytes:
    return spool.line(CALLS, CALLS.filled(call(request_id=request_id, **changes)))


def left_behind(path: Path, *lines: bytes) -> Path:
    """A file of a process that has ended."""
    kept = Spool(path)
    for one in lines:
        file = kept.append(one)
    kept.close()
    return file


def found(path: Path, table: str = "ledger", column: str = "request_id") -> list[str]:
    return [value for (value,) in query(path, f"select {column} from {table} order by id")]


def no_new_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a new file in `folder` fails, as it does on a medium that is read-only."""
    real = os.open

    def refuse(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if flags & os.O_CREAT and Path(path).parent == folder:
            raise OSError(30, "Read-only file system")
        return real(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", refuse)


# -- writing ----------------------------------------------------------------------------------------------------------


def test_a_row_is_in_the_file_when_append_returns(path: Path) -> None:
    kept = Spool(path)
    file = kept.append(line("1"))
    assert file.parent == path.parent
    assert file.name.startswith("ledger.db.spool-")
    record = json.loads(file.read_bytes())
    assert record["table"] == "ledger"
    assert record["row"]["request_id"] == "1"
    assert file.stat().st_mode & 0o777 == 0o600 or os.name == "nt"
    assert kept.append(line("2")) == file
    assert kept.files == [file]
    kept.close()
    kept.close()


def test_files_end_after_a_thousand_rows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "ROWS_PER_FILE", 3)
    kept = Spool(path)
    for number in range(7):
        kept.append(line(str(number)))
    kept.close()
    assert spool.waiting(path) == dict(zip(kept.files, [3, 3, 1], strict=True))
    assert set(spool.files(path)) == set(kept.files)


def test_a_row_comes_back_as_it_was(path: Path, write: Callable[..., int]) -> None:
    fields = call(
        request_id='"1"\n\r\u2028\x85é😀',
        usage=MappingProxyType({"a": 1, "b": 0.1}),
        reported_cost_usd=0.1 + 0.2,
        customer_id=" acme ",
    )
    left_behind(path, spool.line(CALLS, CALLS.filled(fields)))
    left_behind(path, spool.line(TOOL_CALLS, TOOL_CALLS.filled(tool_call(units=1e-7, duration_ms=0))))
    assert spool.replay(path, write) == 2
    [row] = query(path, "select request_id, usage, reported_cost_usd, customer_id, ts from ledger")
    assert row == (fields["request_id"], '{"a": 1, "b": 0.1}', 0.1 + 0.2, " acme ", fields["ts"])
    assert query(path, "select tool_call_id, units, duration_ms from audit") == [("tc", 1e-7, 0)]


def test_the_temporary_folder_takes_what_the_folder_of_the_ledger_does_not(
    path: Path, write: Callable[..., int], temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        no_new_files(path.parent, patched)
        file = left_behind(path, line("1"))
    assert file.parent == temporary
    other = path.with_name("other.db")
    other.write_bytes(empty_file())
    assert spool.files(other) == []
    assert spool.files(path) == [file]
    assert spool.replay(path, write) == 1
    assert found(path) == ["1"]
    assert not list(temporary.iterdir())


def test_no_folder_takes_it(path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_new_files(path.parent, monkeypatch)
    kept = Spool(path)
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(temporary / "none"))
        with pytest.raises(OSError, match="No such file"):
            kept.append(line("1"))
    assert kept.files == []
    assert kept.append(line("1")).parent == temporary  # which is there again
    kept.close()


def test_a_system_without_a_temporary_folder(
    path: Path, write: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    file = left_behind(path, line("1"))
    assert spool.files(path) == [file]
    assert spool.replay(path, write) == 1


@needs_fork
@pytest.mark.parametrize("room", [0, 10, 700])
def test_a_disk_that_is_full_leaves_no_half_rows(path: Path, write: Callable[..., int], room: int) -> None:
    """A write may end in the middle of a row without an error."""

    def work() -> None:
        import resource  # not on every system

        kept = Spool(path)
        first = kept.append(line("1"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (first.stat().st_size + room, resource.RLIM_INFINITY))
        fits = room > len(line("2"))
        if fits:
            kept.append(line("2"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (first.stat().st_size + 10, resource.RLIM_INFINITY))
        with pytest.raises(OSError, match=r"No space left|too large"):
            kept.append(line("3"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        kept.append(line("3"))
        kept.close()

    assert exit_code(start_child(work)) == 0
    rows = 3 if room > len(line("2")) else 2
    assert sum(number or 0 for number in spool.waiting(path).values()) == rows
    assert spool.replay(path, write) == rows
    assert spool.waiting(path) == {}


def test_a_file_that_somebody_removes_takes_no_more_rows(path: Path) -> None:
    kept = Spool(path)
    kept.append(line("1")).unlink()
    file = kept.append(line("2"))
    assert b'"2"' in file.read_bytes()
    kept.close()


# -- finding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["[x]*.db", "a?b.db", "ledger", "mit Leerzeichen é.db", "x.spool-1.jsonl"])
def test_any_name_of_a_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(empty_file())
    for other in ("x.db", "xy.db", "aab.db", f"{name}2", f"2{name}"):
        left_behind(tmp_path / other, line("other"))
    left_behind(path, line("1"))
    with monkeypatch.context() as patched:
        no_new_files(tmp_path, patched)
        left_behind(path, line("2"))
    with Ledger(path) as ledger:
        assert sorted(row["request_id"] for row in ledger.rows("ledger")) == ["1", "2"]
    assert spool.files(path) == []


def test_what_is_no_file_of_ours_is_not_listed(path: Path) -> None:
    file = left_behind(path, line("1"))
    for name in (f"{file.name}~", f"{file.name}.swp", "ledger.db.spool-2.json", "ledger.db-wal", "ledger.db.spool-3"):
        path.with_name(name).write_bytes(line("2"))
    path.with_name("ledger.db.spool-4.jsonl").mkdir()
    path.with_name("ledger.db.spool-5.jsonl").symlink_to(path)
    path.with_name("ledger.db.spool-6.jsonl").write_bytes(b"\n\n")
    assert spool.waiting(path) == {file: 1}


def test_a_ledger_by_any_of_its_names(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "elsewhere" / "current.db"
    link.parent.mkdir()
    link.symlink_to(path)
    files = {left_behind(path, line("1")), left_behind(link, line("2"))}
    monkeypatch.chdir(tmp_path)
    assert set(spool.files(path)) == set(spool.files(link)) == set(spool.files(Path("ledger.db"))) == files


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners on this system")
def test_files_of_others_in_the_temporary_folder_are_left_alone(
    path: Path, write: Callable[..., int], monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    with monkeypatch.context() as patched:
        no_new_files(path.parent, patched)
        file = left_behind(path, line("1"))
    secret = path.with_name("secret")
    secret.write_text("of this user")
    file.with_name(file.name.replace("spool-", "spool-0")).symlink_to(secret)  # anybody could do that
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: 12345)
        assert spool.waiting(path) == {}
        assert spool.replay(path, write) == 0
    assert spool.replay(path, write) == 1
    assert secret.read_text() == "of this user"
    assert not [name for name in os.listdir(temporary) if name.endswith(".refused")]


# -- bringing in ------------------------------------------------------------------------------------------------------


def test_opening_brings_rows_in_once(path: Path) -> None:
    file = left_behind(path, line("1"), line("2"))
    copy = file.read_bytes()
    for _ in range(2):
        with Ledger(path) as ledger:
            assert [row["request_id"] for row in ledger.rows("ledger")] == ["1", "2"]
        assert spool.files(path) == []
        file.write_bytes(copy)


def test_the_prices_of_what_is_brought_in_are_looked_up(path: Path) -> None:
    left_behind(path, line("1", model="new"))
    with Ledger(path):
        pass
    assert query(path, "select model from rate_key where resolved_at is not null") == [("new",)]


def test_a_replay_that_breaks_off_between_ledger_and_file_doubles_nothing(
    path: Path, write: Callable[..., int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = left_behind(path, line("1"), line("2")), left_behind(path, line("3"))
    real = Path.unlink

    def fail(path: Path, missing_ok: bool = False) -> None:
        if path == first:
            raise PermissionError(13, "Permission denied")
        real(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", fail)
        spool.replay(path, write)
    assert sorted(found(path)) == ["1", "2", "3"]
    assert spool.files(path) == [first]
    assert not second.exists()
    assert "it can't be removed" in caplog.text
    assert spool.replay(path, write) == 2
    assert sorted(found(path)) == ["1", "2", "3"]
    assert spool.files(path) == []


def test_a_ledger_that_cannot_be_written_leaves_the_files(path: Path) -> None:
    files = {left_behind(path, line("1")), left_behind(path, line("2"))}

    def refuse(*_: object) -> None:
        raise LedgerError("locked")

    with pytest.raises(LedgerError):
        spool.replay(path, refuse)
    assert set(spool.files(path)) == files


GARBAGE = [
    b"{",
    b"\xff\xfe",
    b"[" * 100_000,
    b"null",
    b'"text"',
    b"{}",
    b'{"table": "ledger"}',
    b'{"table": "price_revision", "row": {}}',
    b'{"table": ["ledger"], "row": {}}',
    b'{"table": "ledger", "row": [1, 2]}',
    b'{"table": "ledger", "row": {"agent_id": "a"}}',
    line("bad").replace(b'"prompt_tokens": 100', b'"prompt_tokens": NaN'),
    line("bad").replace(b'"prompt_tokens": 100', b'"prompt_tokens": 1000000000000'),
    line("bad").replace(b'"prompt_tokens": 100', b'"prompt_tokens": 1' + b"0" * 30),
    line("bad").replace(b'"bad"', rb'"\ud800"'),
    line("bad").replace(b'"bad"', b'""'),
    line("bad")[:100],  # cut off when the power failed
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda garbage: garbage[:40].decode("latin-1"))
def test_lines_that_make_no_sense_are_set_aside_and_come_in_when_they_are_mended(
    path: Path, write: Callable[..., int], garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):  # the ledger has seen rows of this shape: it looks at them quickly
        write(CALLS, [CALLS.row(call(request_id=f"before {number}"))])
    file = left_behind(path, line("1"))
    file.write_bytes(line("1") + garbage.rstrip(b"\n") + b"\n" + line("2").rstrip(b"\n"))
    assert spool.waiting(path) == {file: 3}
    assert spool.replay(path, write) == 2
    assert found(path)[3:] == ["1", "2"]
    [aside] = spool.files(path)
    assert aside.name == f"{file.name}.refused"
    assert aside.read_bytes() == garbage.rstrip(b"\n") + b"\n"
    assert str(aside) in caplog.text
    [problem] = spool.problems(path)
    assert problem["check"] == "spool"
    assert problem["subject"] == aside.name
    assert "1 recorded row is not in the ledger: mend them in " in problem["problem"]
    assert spool.replay(path, write) == 0, "what was refused is not tried again by itself"
    aside.with_suffix("").write_bytes(line("mended"))
    aside.unlink()
    assert spool.replay(path, write) == 1
    assert found(path)[3:] == ["1", "2", "mended"]
    assert spool.problems(path) == []


def test_an_empty_file_is_removed(path: Path, write: Callable[..., int]) -> None:
    file = path.with_name("ledger.db.spool-1.jsonl")
    file.touch()
    assert spool.problems(path) == []
    assert spool.replay(path, write) == 0
    assert not file.exists()


def test_a_file_that_cannot_be_read_is_reported_and_stops_nothing(
    path: Path, write: Callable[..., int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = left_behind(path, line("1"))
    left_behind(path, line("2"))
    real = os.open

    def refuse(path: Any, *args: Any) -> int:
        if Path(path) == foreign:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args)

    def unreadable(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    assert spool.replay(path, write) == 1
    assert found(path) == ["2"]
    assert str(foreign) in caplog.text
    monkeypatch.setattr(Path, "read_bytes", unreadable)
    assert spool.waiting(path) == {foreign: None}
    assert f"let the owner of {foreign} run" in spool.problems(path)[0]["problem"]


def test_many_rows_come_in_fast(path: Path) -> None:
    kept = Spool(path)
    for number in range(5_000):
        kept.append(line(f"r{number}"))
    kept.close()
    assert len(kept.files) == 5
    start = time.perf_counter()
    with Ledger(path):
        pass
    assert time.perf_counter() - start < 2
    assert query(path, "select count(*), count(distinct request_id) from ledger") == [(5_000, 5_000)]
    assert spool.files(path) == []


# -- several processes ------------------------------------------------------------------------------------------------


@needs_locks
def test_a_file_that_is_being_written_is_left_alone(path: Path, write: Callable[..., int]) -> None:
    kept = Spool(path)
    file = kept.append(line("1"))
    assert spool.replay(path, write) == 0
    with Ledger(path):
        pass
    assert spool.files(path) == [file]
    assert "a process that still runs brings them in" in spool.problems(path)[0]["problem"]
    kept.append(line("2"))
    kept.close()
    assert "bring them in with `agent-ledger replay" in spool.problems(path)[0]["problem"]
    assert spool.replay(path, write) == 2
    assert found(path) == ["1", "2"]


@needs_locks
def test_a_new_file_is_never_taken_for_an_old_one(
    path: Path, write: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making a file and locking it another process may find it, empty and unlocked, and remove it."""
    real, meddled = os.fdopen, []

    def meddle(descriptor: int, *args: Any, **options: Any) -> Any:
        if not meddled:
            meddled.append(True)
            assert spool.replay(path, write) == 0
            assert spool.files(path) == []
        return real(descriptor, *args, **options)

    kept = Spool(path)
    monkeypatch.setattr(os, "fdopen", meddle)
    assert kept.append(line("1")).exists()
    kept.close()
    assert spool.replay(path, write) == 1
    assert found(path) == ["1"]


@needs_fork
def test_a_process_that_is_killed_leaves_its_rows(path: Path) -> None:
    def work() -> None:
        kept = Spool(path)
        for number in range(3):
            kept.append(line(str(number)))
        os.kill(os.getpid(), signal.SIGKILL)

    assert exit_code(start_child(work)) == -signal.SIGKILL
    assert list(spool.waiting(path).values()) == [3]
    with Ledger(path):
        pass
    assert found(path) == ["0", "1", "2"]


@needs_fork
def test_a_child_does_not_keep_the_file_of_its_parent(path: Path, write: Callable[..., int]) -> None:
    kept = Spool(path)
    file = kept.append(line("1"))
    (go, say_go) = os.pipe()

    def work() -> None:
        os.read(go, 1)
        kept.after_fork()
        kept.append(line("child"))
        kept.close()

    child = start_child(work)
    kept.append(line("2"))
    kept.close()
    assert spool.replay(path, write) == 2, "though the child has the file open"
    os.write(say_go, b".")
    assert exit_code(child) == 0
    assert file not in spool.files(path)
    assert spool.replay(path, write) == 1
    assert found(path) == ["1", "2", "child"]
    os.close(go)
    os.close(say_go)


REPLAY = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from agent_ledger import spool
    from agent_ledger.connection import Writer

    path = Path(sys.argv[1])
    writer = Writer(path, synchronous="normal")
    print("ready", flush=True)
    sys.stdin.readline()
    spool.replay(path, writer.insert)
    writer.close()
    """
)


def test_two_processes_replay_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "ROWS_PER_FILE", 20)
    kept = Spool(path)
    for number in range(1_000):
        kept.append(line(f"r{number}"))
    kept.close()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", REPLAY, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.communicate("\n", timeout=60)
        assert process.returncode == 0
    assert spool.files(path) == []
    assert query(path, "select count(*), count(distinct request_id) from ledger") == [(1_000, 1_000)]
    with sqlite3.connect(path) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    connection.close()
