"""Helpers of the tests of live capture: a clock that is told, and what became of the rows."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import pytest
from support import call, query

from agent_ledger import Ledger, spool, stamping
from agent_ledger.recording import CALLS
from agent_ledger.stamping import Stamper


class Time:
    """The clock of the stamper, which stands still unless it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def prepare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Waiting for others takes no time, and the test has a temporary folder of its own."""
    monkeypatch.setattr(stamping, "_WAIT_S", 0.01)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


def full(*_: object) -> Path:
    """What `Spool.append` does on a full disk."""
    raise OSError(28, "No space left on device")


def stamp(stamper: Stamper, request_id: str, **changes: Any) -> int:
    return stamper.stamp(CALLS, call(request_id=request_id, **changes))


def found(path: Path) -> list[str]:
    """The request ids in the ledger."""
    return [request_id for (request_id,) in query(path, "select request_id from ledger order by request_id")]


def waiting(path: Path) -> int:
    """The number of rows in files."""
    return sum(number or 0 for number in spool.waiting(path).values())


def everything_once(path: Path, expected: int) -> None:
    """Opened again, the ledger has `expected` rows, and no file is left."""
    with Ledger(path):
        pass
    assert query(path, "select count(*), count(distinct request_id) from ledger") == [(expected, expected)]
    assert spool.files(path) == []
    assert query(path, "pragma integrity_check") == [("ok",)]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
