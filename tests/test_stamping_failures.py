"""A full disk, a read-only folder, a file that is harmed: the agent goes on, and the rows are there in the end."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from outages import Time, found, full, prepare, stamp, waiting, warnings
from support import call, empty_file, exit_code, locked, query, raw, start_child

from agent_ledger import Ledger, spool, stamping
from agent_ledger.connection import Writer
from agent_ledger.recording import CALLS
from agent_ledger.stamping import Stamper

pytestmark = [
    pytest.mark.usefixtures("no_sources"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


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


# -- other troubles ---------------------------------------------------------------------------------------------------


def test_a_full_disk(stamper: Stamper, path: Path, clock: Time, caplog: pytest.LogCaptureFixture) -> None:
    connection = stamper.writer().live()
    [pages] = connection.execute("pragma page_count").fetchone()
    connection.execute(f"pragma max_page_count = {pages}")
    results = [stamp(stamper, f"{number:04}", anomaly="x" * 1000) for number in range(100)]
    assert results[0] == 1
    assert results[-1] == 0
    assert "database or disk is full" in warnings(caplog)[0]
    connection.execute("pragma max_page_count = 1000000")
    clock.now += 1
    stamp(stamper, "after")
    assert len(found(path)) == 101
    assert query(path, "pragma integrity_check") == [("ok",)]


FULL = textwrap.dedent(
    """
    import resource, sys
    from pathlib import Path
    from agent_ledger import spool, stamping
    from agent_ledger.recording import CALLS

    def stamp(name):
        fields = dict(agent_id="a", model="m", prompt_tokens=1, completion_tokens=1, request_id=name)
        return stamper.stamp(CALLS, fields)

    def room(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    path = Path(sys.argv[1])
    stamping._PAUSE_S = 0.0
    stamper = stamping.Stamper(path, synchronous="normal")
    assert stamp("before") == 1
    room(10)
    for number in range(5):
        assert stamp(f"full {number}") == 0
    assert len(stamper._in_memory) == 5
    assert spool.waiting(path) == {}
    """
)


@pytest.mark.skipif(os.name == "nt", reason="no limits on this system")
@pytest.mark.parametrize(
    ("then", "at_end"),
    [
        # There is room again, and the next row takes them along.
        ("stamper._pause = stamper._retry_at = 0; room(-1); assert stamp('full 5') == 6; stamper.close()", 0),
        ("room(-1); stamper.close()", 0),
        ("room(-1)", 0),  # the program just ends
        # There is room for files, but the ledger is locked.
        ("room(-1); import sqlite3; c = sqlite3.connect(path); c.execute('begin immediate'); stamper.close()", 5),
        ("room(-1); import sqlite3; c = sqlite3.connect(path); c.execute('begin immediate'); stamp('full 5')", 6),
    ],
)
def test_a_disk_so_full_that_no_file_can_be_written_either(path: Path, then: str, at_end: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{FULL}\n{then}", str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "kept in memory, because no file can be written either" in done.stderr
    assert waiting(path) == at_end
    with Ledger(path) as ledger:
        rows = [row["request_id"] for row in ledger.rows("ledger")]
    assert sorted(rows)[:6] == ["before", *(f"full {number}" for number in range(5))]
    assert spool.files(path) == []


def test_memory_has_an_end(
    stamper: Stamper, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stamping, "_IN_MEMORY", 5)
    small = Stamper(path, synchronous="normal")
    with locked(path), monkeypatch.context() as patched:
        patched.setattr(spool.Spool, "append", full)
        for number in range(8):
            stamp(small, str(number))
    small.close()
    assert found(path) == ["3", "4", "5", "6", "7"]
    assert [warning[:40] for warning in warnings(caplog)][1:] == ["No more rows can be kept in memory: from"]
    stamper.close()


def test_rows_go_from_memory_to_a_file_when_one_can_be_written(
    stamper: Stamper, path: Path, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    with locked(path):
        with monkeypatch.context() as patched:
            patched.setattr(spool.Spool, "append", full)
            stamp(stamper, "1")
            stamp(stamper, "2")
            assert waiting(path) == 0
        stamp(stamper, "3")
        assert waiting(path) == 3
    clock.now += 1
    assert stamp(stamper, "4") == 4
    assert found(path) == ["1", "2", "3", "4"]


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Without the right to write to `folder`, also where the tests are run by root."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@needs_fork
@pytest.mark.skipif(not os.access("/tmp", os.W_OK), reason="needs a folder that everybody may enter")
def test_a_read_only_ledger() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as top:
        folder, temporary = Path(top) / "ledger", Path(top) / "temporary"
        for made in (Path(top), folder, temporary):
            made.mkdir(exist_ok=True)
            made.chmod(0o777)
        path = folder / "ledger.db"
        path.write_bytes(empty_file())
        path.chmod(0o444)

        def work() -> None:
            tempfile.tempdir = str(temporary)
            stamper = Stamper(path, synchronous="normal")
            with as_nobody(folder):
                assert stamp(stamper, "1") == 0
                [file] = spool.files(path)
                assert file.parent == temporary
                stamper.close()
            path.chmod(0o644)
            if os.geteuid() == 0:  # it looks for its own files
                os.chown(file, 0, 0)
            with Ledger(path):
                assert spool.files(path) == []
            assert found(path) == ["1"]

        assert exit_code(start_child(work)) == 0


def remove(path: Path) -> None:
    path.unlink()


def remove_all(path: Path) -> None:
    for file in (path, path.with_name("ledger.db-wal"), path.with_name("ledger.db-shm")):
        file.unlink()


def replace_by_text(path: Path) -> None:
    path.with_name("other").write_text("no ledger " * 1000)
    path.with_name("other").replace(path)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def damage_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\xff" * 4096)


def damage_everything(path: Path) -> None:
    for file in (path, path.with_name("ledger.db-wal")):
        size = file.stat().st_size
        with file.open("r+b") as opened:
            opened.write(b"\xff" * size)


def cut_off(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.skipif(os.name == "nt", reason="Windows does not let anybody do that to an open file")
@pytest.mark.parametrize("stamped", [True, False])
@pytest.mark.parametrize(
    "harm", [remove, remove_all, replace_by_text, replace_by_folder, damage_header, damage_everything, cut_off]
)
def test_harm_to_the_file_harms_neither_the_agent_nor_the_rows_that_follow(
    path: Path, clock: Time, harm: Callable[[Path], None], stamped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(path)
    for number in range(20):
        (ledger.stamp_call if stamped else ledger.record_call)(**call(request_id=f"before {number}"))
    with raw(path) as connection:
        connection.execute("vacuum into ?", [str(path.with_name("backup.db"))])
    harm(path)
    for number in range(20):
        ledger.stamp_call(**call(request_id=f"after {number}"))
        clock.now += 100
    ledger.close()
    if stamped and harm in (damage_header, damage_everything):
        return  # SQLite has what it needs in its memory: whether it notices is its own affair
    assert waiting(path) == 20
    assert found_in_backup(path) == {f"{when} {number}" for when in ("before", "after") for number in range(20)}
    assert len([warning for warning in warnings(caplog) if warning.startswith("A row can't be written")]) == 1


def found_in_backup(path: Path) -> set[str]:
    for file in path.parent.glob("ledger.db*"):
        if "spool" not in file.name:
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    path.with_name("backup.db").rename(path)
    with Ledger(path):
        return set(found(path))


def test_opening_fails_at_first(
    path: Path, clock: Time, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stamper = Stamper(path, synchronous="normal")

    def fail(*_: object, **__: object) -> sqlite3.Connection:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("agent_ledger.schema.open_for_writing", fail)
        assert stamp(stamper, "1") == 0
    clock.now += 1
    assert stamp(stamper, "2") == 2
    assert "Permission denied" in warnings(caplog)[0]
    stamper.close()


def test_a_bug_of_ours_loses_no_row(stamper: Stamper, path: Path, clock: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "insert", lambda *_: 1 / 0)
        assert stamp(stamper, "1") == 0
    clock.now += 1
    assert stamp(stamper, "2") == 2
    assert found(path) == ["1", "2"]


def test_a_bug_of_ours_that_does_lose_it_is_logged(stamper: Stamper, caplog: pytest.LogCaptureFixture) -> None:
    class Odd(dict[str, Any]):
        def keys(self) -> Any:
            raise RuntimeError("odd")

    assert stamper.stamp(CALLS, Odd(call())) in (0, 1)
    assert stamper.stamp(CALLS, None) == 0  # type: ignore[arg-type]
    assert warnings(caplog)[-1] == "A row could not be recorded"


def test_a_row_that_only_the_file_refuses_is_kept(stamper: Stamper, path: Path, clock: Time) -> None:
    """A newer version may have a rule that this one does not know."""
    with raw(path) as connection:
        connection.execute(
            "create trigger newer before insert on ledger when new.agent_id = 'evil' "
            "begin select raise(abort, 'no evil'); end"
        )
    assert stamp(stamper, "1", agent_id="evil") == 0
    clock.now += 1
    assert stamp(stamper, "2") == 1
    [aside] = spool.files(path)
    assert aside.suffix == ".refused"
    clock.now += 1
    assert stamp(stamper, "3") == 1
    assert found(path) == ["2", "3"]
