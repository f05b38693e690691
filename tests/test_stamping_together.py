"""Threads, processes, forks, and any sequence of events: the ledger ends with exactly what was stamped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outages import Time, everything_once, found, full, prepare, stamp, waiting
from support import call, empty_file, exit_code, locked, start_child

from agent_ledger import Ledger, plugins, spool, stamping
from agent_ledger.stamping import Stamper

pytestmark = [
    pytest.mark.usefixtures("no_sources"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
LOCKER = textwrap.dedent(
    """
    import sqlite3, sys, time
    connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
    print("ready", flush=True)
    until = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < until:
        connection.execute("begin immediate")
        time.sleep(0.03)
        connection.execute("commit")
        time.sleep(0.01)
    """
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    prepare(monkeypatch, tmp_path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    path.write_bytes(empty_file())
    return path


def locker(path: Path, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(path), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def test_threads_while_another_process_locks_the_ledger(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamping, "_PAUSE_S", 0.01)
    monkeypatch.setattr(stamping, "_LONGEST_PAUSE_S", 0.02)
    stamper = Stamper(path, synchronous="normal")
    results: list[int] = []

    def work(name: str) -> None:
        for number in range(200):
            results.append(stamp(stamper, f"{name}-{number}"))
            time.sleep(0.001)

    with locker(path, 0.8) as process:
        threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stamper.close()
        process.wait(30)
    assert 0 in results
    everything_once(path, 1600)


@needs_fork
def test_processes_while_another_one_locks_the_ledger(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamping, "_PAUSE_S", 0.01)
    monkeypatch.setattr(stamping, "_LONGEST_PAUSE_S", 0.02)

    def work(name: str) -> Callable[[], None]:
        def run() -> None:
            with Ledger(path) as ledger:
                for number in range(200):
                    ledger.stamp_call(**call(request_id=f"{name}-{number}"))
                    time.sleep(0.001)

        return run

    with locker(path, 0.8) as process:
        children = [start_child(work(f"p{number}")) for number in range(4)]
        assert [exit_code(child) for child in children] == [0] * 4
        process.wait(30)
    everything_once(path, 800)


@needs_fork
class TestFork:
    def test_a_fork_in_the_middle_of_an_outage(self, path: Path) -> None:
        stamper = Stamper(path, synchronous="normal")

        def work() -> None:
            assert stamper._spool.files == []
            stamp(stamper, "child")
            assert len(spool.files(path)) == 2
            stamper.close()

        with locked(path):
            stamp(stamper, "parent 1")
            assert exit_code(start_child(work)) == 0
            stamp(stamper, "parent 2")
            assert sorted(number or 0 for number in spool.waiting(path).values()) == [1, 2]
        stamper.close()
        assert found(path) == ["parent 1", "parent 2"]
        everything_once(path, 3)

    def test_what_is_in_memory_is_the_parents(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        stamper = Stamper(path, synchronous="normal")
        with locked(path), monkeypatch.context() as patched:
            patched.setattr(spool.Spool, "append", full)
            stamp(stamper, "parent")

        def work() -> None:
            assert stamp(stamper, "child") == 1
            stamper.close()

        assert exit_code(start_child(work)) == 0
        assert found(path) == ["child"]
        stamper.close()
        everything_once(path, 2)

    def test_a_child_does_not_wait_for_a_thread_that_is_not_there(self, path: Path) -> None:
        stamper = Stamper(path, synchronous="normal")
        held, release = threading.Event(), threading.Event()

        def hold() -> None:
            with stamper._lock:
                stamper._busy = True
                held.set()
                release.wait(30)
                stamper._busy = False

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(30)

        def work() -> None:
            assert stamp(stamper, "child") == 1
            stamper.close()

        def close_only() -> None:
            stamper.close()

        assert exit_code(start_child(work)) == 0
        assert exit_code(start_child(close_only)) == 0
        release.set()
        thread.join()
        assert stamp(stamper, "parent") == 1
        stamper.close()
        assert found(path) == ["child", "parent"]

    def test_a_process_that_is_killed_in_an_outage(self, path: Path) -> None:
        def work() -> None:
            stamper = Stamper(path, synchronous="normal")
            for number in range(10):
                stamp(stamper, str(number))
            os.kill(os.getpid(), signal.SIGKILL)

        with ExitStack() as stack:
            process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)  # fmt: skip
            stack.enter_context(process)
            assert process.stdout
            process.stdout.readline()
            assert exit_code(start_child(work)) == -signal.SIGKILL
            assert waiting(path) == 10
            process.communicate(b"\n")
        everything_once(path, 10)


HOLD = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('begin immediate'); "
    "print('ready', flush=True); sys.stdin.readline(); c.execute('rollback')"
)

# -- any sequence -----------------------------------------------------------------------------------------------------

EVENTS = st.lists(
    st.sampled_from(["stamp", "stamp", "stamp", "lock", "unlock", "wait", "reopen", "full", "room"]), max_size=25
)


@settings(max_examples=25)
@given(EVENTS)
def test_whatever_happens_the_ledger_ends_with_exactly_what_was_stamped(events: list[str]) -> None:
    told, real = Time(), spool.Spool.append
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched, ExitStack() as stack:
        patched.setattr(stamping, "time", told)
        patched.setattr(plugins, "price_sources", list)
        patched.setattr(stamping, "_WAIT_S", 0.001)
        patched.setattr(spool, "ROWS_PER_FILE", 3)
        path = Path(folder) / "ledger.db"
        path.write_bytes(empty_file())
        ledger, lock, stamped = Ledger(path), stack.enter_context(ExitStack()), 0
        is_locked = False
        for event in events:
            if event == "stamp":
                ledger.stamp_call(**call(request_id=str(stamped)))
                stamped += 1
            elif event == "lock" and not is_locked:
                lock.enter_context(locked(path))
                is_locked = True
            elif event == "unlock":
                lock.close()
                is_locked = False
            elif event == "wait":
                told.now += 60
            elif event == "reopen" and not is_locked:
                patched.setattr(spool.Spool, "append", real)
                ledger.close()
                ledger = Ledger(path)
            elif event in ("full", "room"):
                patched.setattr(spool.Spool, "append", full if event == "full" else real)
        patched.setattr(spool.Spool, "append", real)
        lock.close()
        ledger.close()
        everything_once(path, stamped)
