"""agent-ledger replay, and what check says about rows that wait."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from pathlib import Path

import pytest

from agent_ledger import Ledger, PriceRevision, spool
from agent_ledger.recording import CALLS
from agent_ledger.spool import Spool

pytestmark = pytest.mark.usefixtures("temporary")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


def line(request_id: str) -> bytes:
    fields = {"agent_id": "late", "model": "cheap", "prompt_tokens": 1, "completion_tokens": 1}
    return spool.line(CALLS, CALLS.filled({**fields, "request_id": request_id, "ts": "2026-02-03"}))


def left_behind(ledger: Path, *lines: bytes) -> Path:
    kept = Spool(ledger)
    for one in lines:
        file = kept.append(one)
    kept.close()
    return file


@pytest.fixture
def sound(tmp_path):
    """A ledger that a check has nothing to say about."""
    path = tmp_path / "sound.db"
    with Ledger(path) as ledger:
        ledger.set_prices([PriceRevision(model="cheap", source="contract", basis="contract", input=1, output=1)])
        ledger.record_call(agent_id="early", model="cheap", prompt_tokens=1, completion_tokens=1)
    return path


def test_nothing_waits(sound, run):
    result = run("replay", sound)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "no rows are waiting\n", "")


def test_rows_are_brought_in_and_check_is_content_again(sound, run):
    left_behind(sound, line("1"), line("2"))
    left_behind(sound, line("3"))
    result = run("check", sound)
    assert result.exit_code == 1
    assert "2 recorded rows are not in the ledger" in " ".join(result.stdout.split())
    assert "2 problems found" in result.stdout
    result = run("replay", sound)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "brought in 3 rows\n", "")
    assert run("replay", sound).stdout == "no rows are waiting\n"
    result = run("check", sound)
    assert result.exit_code == 0, result.stdout
    assert len(json.loads(run("rows", sound, "ledger", "--where", "agent_id=late", "--json").stdout)) == 3


def test_one_row(sound, run):
    left_behind(sound, line("1"))
    assert run("replay", sound).stdout == "brought in 1 row\n"


def test_check_reports_them_to_programs_too(sound, run):
    file = left_behind(sound, line("1"))
    result = run("check", sound, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {
            "check": "spool",
            "subject": file.name,
            "problem": f"1 recorded row is not in the ledger: bring them in with `agent-ledger replay {sound}`",
        }
    ]


def test_lines_that_make_no_sense_remain_and_are_named(sound, run):
    file = left_behind(sound, line("1"), b"{nonsense\n")
    result = run("replay", sound)
    assert result.exit_code == 1
    assert result.stdout == "brought in 1 row\n"
    assert f"{file.name}.refused: 1 recorded row is not in the ledger: mend them in" in result.stderr
    assert "Traceback" not in result.stderr
    result = run("replay", sound)
    assert (result.exit_code, result.stdout) == (1, "brought in 0 rows\n")
    assert run("check", sound).exit_code == 1
    file.with_name(f"{file.name}.refused").unlink()
    file.write_bytes(line("2"))
    assert run("replay", sound).exit_code == 0
    assert run("check", sound).exit_code == 0


@pytest.mark.skipif(spool.fcntl is None, reason="no file locks on this system")
def test_a_file_that_is_being_written_remains(sound, run):
    kept = Spool(sound)
    kept.append(line("1"))
    result = run("replay", sound)
    assert result.exit_code == 1
    assert result.stdout == "brought in 0 rows\n"
    assert "a process that still runs brings them in" in result.stderr
    kept.close()
    assert run("replay", sound).exit_code == 0


def test_no_ledger(tmp_path, refused):
    path = tmp_path / "none.db"
    left_behind(path, line("1"))
    assert f"agent-ledger init {path}" in refused(2, "replay", path)
    assert not path.exists()
    path.write_text("something else " * 10)
    assert "is not an agent-ledger file" in refused(2, "replay", path)
    assert len(spool.files(path)) == 1


def test_a_locked_ledger(sound, refused, monkeypatch):
    monkeypatch.setattr("agent_ledger.schema.BUSY_TIMEOUT_S", 0.05)
    left_behind(sound, line("1"))
    with sqlite3.connect(sound) as other:
        other.execute("begin immediate")
        sentence = refused(1, "replay", sound)
        other.rollback()
    other.close()
    assert sentence == f"{sound} can't be written: another process is writing to it: try again when that is done"
    assert len(spool.files(sound)) == 1
