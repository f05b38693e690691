"""`agent-ledger ship`: what it says, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from support import call, query

from agent_ledger import Ledger

Run = Callable[..., Result]


def test_it_says_what_it_did(run: Run, book: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    first = run("ship", book, file)
    assert (first.exit_code, first.stdout) == (0, f"49 rows shipped to {file}\n")
    assert "ledger: 5 rows shipped, 0 behind" in first.stderr
    again = run("ship", book, file, "--quiet")
    assert (again.exit_code, again.stdout, again.stderr) == (0, f"0 rows shipped to {file}\n", "")


def test_status_shows_every_table_of_every_destination(
    run: Run, read: Callable[..., Any], book: Path, tmp_path: Path
) -> None:
    assert run("ship", book, "--status").stdout == "nothing was shipped yet\n"
    run("ship", book, tmp_path / "out.jsonl")
    with Ledger(book) as ledger:
        ledger.record_call(**call())
    rows = {row["source"]: row for row in read("ship", book, "--status")}
    assert (rows["ledger"]["shipped"], rows["ledger"]["behind"], rows["audit"]["behind"]) == (5, 1, 0)


def test_check_speaks_of_a_destination_that_is_behind(run: Run, book: Path, tmp_path: Path) -> None:
    run("ship", book, tmp_path / "out.jsonl")
    with Ledger(book) as ledger:
        ledger.record_call(**call())
    query(book, "update ship_cursor set shipped_at = '2026-01-01T00:00:00.000Z'")
    found = run("check", book, "--json")
    assert found.exit_code == 1
    assert [row["subject"] for row in json.loads(found.stdout) if row["check"] == "shipping"] == [
        str(tmp_path / "out.jsonl")
    ]


def test_a_destination_can_be_forgotten_and_begun_anew(run: Run, book: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    run("ship", book, file)
    assert run("ship", book, file, "--as-new", "--quiet").stdout == f"49 rows shipped to {file}\n"
    assert run("ship", book, file, "--forget").stdout == f"{file} is forgotten\n"
    assert run("ship", book, file, "--forget").stdout == f"{file} was not known: nothing to forget\n"


@pytest.mark.parametrize(
    ("exit_code", "arguments", "sentence"),
    [
        (2, [], "say where to: a destination such as postgresql://HOST/DATABASE"),
        (2, ["out.jsonl", "--every", "1"], "--every goes with --follow"),
        (1, ["mysql://u:hunter2@h/d"], "mysql://u:***@h/d is no destination that anybody ships to: give"),
        (1, ["no/such/folder.jsonl"], "folder.jsonl can't be written: No such file or directory"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    refused: Callable[..., str], book: Path, exit_code: int, arguments: list[str], sentence: str
) -> None:
    said = refused(exit_code, "ship", book, *arguments)
    assert sentence in said
    assert "hunter2" not in said


def test_a_ledger_that_is_not_there_is_not_made(refused: Callable[..., str], tmp_path: Path) -> None:
    for option in ("--quiet", "--as-new", "--forget"):
        assert "does not exist" in refused(2, "ship", tmp_path / "new.db", tmp_path / "out.jsonl", option)
    assert list(tmp_path.iterdir()) == []


def test_follow_ships_what_is_recorded_meanwhile_until_it_is_stopped(book: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "agent_ledger", "ship", str(book), str(file), "--follow", "--every", "0.1"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what runs in the background may ignore it
    )
    try:
        with Ledger(book) as ledger:
            for number in range(3):
                ledger.record_call(**call(request_id=f"later {number}"))
                deadline = time.monotonic() + 60
                while f'"later {number}"' not in (file.read_text() if file.exists() else ""):
                    assert process.poll() is None, process.communicate()
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
    finally:
        for _ in range(60):  # one Ctrl+C is lost where Python is in a place that may not raise, such as a destructor
            os.kill(process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                _, errors = process.communicate(timeout=5)
                break
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "Error: interrupted"
