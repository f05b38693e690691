"""Whatever is wrong with the file or the machine: one sentence, and the right exit code."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys

import pytest

from agent_ledger import Ledger, LedgerError
from agent_ledger.cli.errors import Misused, Sentence, explain
from agent_ledger.errors import NotALedger

READING = [
    ("report", "--by", "agent"),
    ("show", "r1"),
    ("check",),
    ("views",),
    ("rows", "coverage"),
    ("prices", "list"),
    ("prices", "diff"),
    ("prices", "sync"),
]
WRITING = [
    ("init",),
    ("record", "--agent-id", "a", "--model", "m", "--prompt-tokens", "1", "--completion-tokens", "1"),
    ("assign", "a", "--team", "t"),
    ("prices", "set", "--model", "m", "--input", "1"),
]


def _on(path, command):
    return (command[0], path, *command[1:])


@pytest.fixture(params=["text", "folder", "other", "newer"])
def not_a_ledger(request, tmp_path):
    path = tmp_path / "x.db"
    if request.param == "text":
        path.write_text("hello, this is no database at all, but text that is a bit longer than a header is, really so.")
    elif request.param == "folder":
        path.mkdir()
    elif request.param == "other":
        with sqlite3.connect(path) as connection:
            connection.execute("create table t (x)")
        connection.close()
    else:
        Ledger(path).close()
        with sqlite3.connect(path) as connection:
            connection.execute("pragma user_version = 999")
            connection.execute("pragma wal_checkpoint(truncate)")
        connection.close()
    return path


@pytest.mark.parametrize("command", READING + WRITING, ids=lambda command: " ".join(command[:2]))
def test_what_is_not_a_ledger_is_refused_and_left_alone(command, not_a_ledger, refused):
    before = not_a_ledger.read_bytes() if not_a_ledger.is_file() else None
    assert str(not_a_ledger) in refused(2, *_on(not_a_ledger, command))
    assert before == (not_a_ledger.read_bytes() if not_a_ledger.is_file() else None)


@pytest.mark.parametrize("command", READING, ids=lambda command: " ".join(command[:2]))
def test_reading_never_makes_a_file(command, tmp_path, refused):
    path = tmp_path / "none.db"
    assert f"agent-ledger init {path}" in refused(2, *_on(path, command))
    assert not path.exists()


def test_a_folder_that_is_not_there(tmp_path, refused):
    assert "make it first" in refused(2, "init", tmp_path / "none" / "ledger.db")


def test_a_locked_ledger(book, refused, monkeypatch):
    monkeypatch.setattr("agent_ledger.schema.BUSY_TIMEOUT_S", 0.05)
    with sqlite3.connect(book) as other:
        other.execute("begin immediate")
        sentence = refused(1, "assign", book, "a", "--team", "t")
        recording = refused(1, *_on(book, WRITING[1]))
        other.rollback()
    other.close()
    assert sentence == f"{book} can't be written: another process is writing to it: try again when that is done"
    assert "another process is writing to it" in recording


@pytest.mark.skipif(os.name == "nt" or (hasattr(os, "geteuid") and os.geteuid() == 0), reason="root may write anything")
def test_a_read_only_ledger(book, refused, run):
    book.chmod(0o444)
    assert "permissions" in refused(1, "assign", book, "a", "--team", "t")
    assert run("report", book, "--by", "agent").exit_code == 0


def test_a_damaged_ledger(book, run):
    with sqlite3.connect(book) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    content = bytearray(book.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    book.write_bytes(content)
    result = run("report", book, "--by", "agent")
    assert result.exit_code in (1, 2)
    assert result.stderr.startswith("Error: ")
    assert "damaged" in result.stderr


def test_a_ledger_that_is_cut_off_is_refused_in_a_sentence(book, run):
    with sqlite3.connect(book) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    content = book.read_bytes()
    book.write_bytes(content[: len(content) // 2 // 4096 * 4096])
    result = run("check", book)
    assert result.exit_code == 2
    assert "is cut off: bring it back from a backup" in result.stderr


class _SQLiteError(sqlite3.OperationalError):
    def __init__(self, name: str) -> None:
        super().__init__("some words of SQLite")
        self.sqlite_errorname = name


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("SQLITE_FULL", "the disk is full: make room and try again"),
        ("SQLITE_IOERR_WRITE", "the disk does not answer as it should: check it and try again"),
        ("SQLITE_BUSY_SNAPSHOT", "another process is writing to it: try again when that is done"),
        ("SQLITE_READONLY_DIRECTORY", "it or its folder may not be written: check the permissions"),
    ],
)
def test_what_sqlite_says_becomes_advice(name, advice):
    cause = _SQLiteError(name)
    assert explain(cause).message == f"the ledger can't be used: {advice}"
    error = NotALedger(f"x.db can't be opened as a ledger: {cause}")
    error.__cause__ = cause
    assert explain(error).message == f"x.db can't be opened as a ledger: {advice}"
    assert type(explain(error)) is Sentence  # it may well be a ledger


def test_other_errors():
    assert type(explain(NotALedger("no"))) is Misused
    assert explain(LedgerError("two\nlines \x1b[31m")).message == r"two lines \x1b[31m"
    assert "check the path" in explain(FileNotFoundError(2, "No such file", "x.csv")).message
    assert explain(OSError(28, "No space left on device")).message.startswith("the system refused (No space left on")
    assert "UTF-8" in explain(UnicodeEncodeError("utf-8", "\udcff", 0, 1, "no")).message
    assert "a value was refused" in explain(_SQLiteError("SQLITE_CONSTRAINT_CHECK")).message


def test_ctrl_c(book, run, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("agent_ledger.checks.run", interrupt)
    result = run("check", book)
    assert result.exit_code == 130
    assert result.stderr == "Error: interrupted\n"


@pytest.mark.skipif(os.name == "nt", reason="pipes end otherwise on Windows")
def test_nobody_reads_on(book):
    with Ledger(book) as ledger:
        ledger.record_calls(
            {"agent_id": f"a{n}", "request_id": f"q{n}", "model": "cheap", "prompt_tokens": 1, "completion_tokens": 1}
            for n in range(3_000)
        )
    command = subprocess.Popen(
        [sys.executable, "-m", "agent_ledger", "rows", str(book), "call_cost", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.read(10)
    command.stdout.close()
    assert command.stderr.read() == b""
    command.stderr.close()
    command.wait(timeout=60)


def test_a_terminal_without_unicode(book):
    with Ledger(book) as ledger:
        ledger.record_call(agent_id="Zoë", request_id="z", model="cheap", prompt_tokens=1, completion_tokens=1)
    for form in ((), ("--json",)):
        done = subprocess.run(
            [sys.executable, "-m", "agent_ledger", "report", str(book), "--by", "agent", *form],
            env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert (b"Zo\\xeb" if not form else b"Zo\\u00eb") in done.stdout
