"""Records of a time that is archived: what is there already is not added again, and what is new comes in."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
from old_rows import CUT, archive, figures, past
from support import call, query, raw, tool_call

from agent_ledger import Ledger, archive_identity, plugins, spool
from agent_ledger.errors import LedgerError
from agent_ledger.recording import CALLS

pytestmark = pytest.mark.usefixtures("no_sources")
NEW = call(request_id="new", ts="2026-01-20T00:00:00.000Z")


@pytest.fixture
def rows(ledger: Ledger, tmp_path: Path) -> list[dict[str, Any]]:
    """The calls of a ledger whose past is archived."""
    rows = past(ledger)
    archive(ledger, tmp_path / "archive")
    return rows


def one_of(ledger: Ledger, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A call that is archived."""
    there = {row[0] for row in query(ledger, "select request_id from ledger")}
    return next(row for row in rows if row["request_id"] not in there)


def calls(ledger: Ledger) -> int:
    return int(query(ledger, "select sum(calls) from daily_cost")[0][0])


def test_recording_again_adds_nothing(ledger: Ledger, rows: list[dict[str, Any]]) -> None:
    before = figures(ledger)
    assert [ledger.record_call(**row) for row in rows[:5]] == [False] * 5
    done = ledger.record_calls(rows)
    assert (done.added, done.already_there) == (0, len(rows))
    assert not ledger.record_tool_call(
        **tool_call(request_id=None, tool_call_id="orphan", ts="2026-01-03T00:00:00.000Z")
    )
    assert figures(ledger) == before


def test_what_is_new_comes_in_late(ledger: Ledger, rows: list[dict[str, Any]]) -> None:
    before = calls(ledger)
    assert ledger.record_call(**NEW)
    assert not ledger.record_call(**NEW)
    done = ledger.record_calls([*rows[:9], {**NEW, "request_id": "other"}])
    assert (done.added, done.already_there) == (1, 9)
    assert ledger.record_tool_call(**tool_call(tool_call_id="new", ts="2026-01-20T00:00:00.000Z"))
    assert calls(ledger) == before + 2
    ledger.compact()
    assert calls(ledger) == before + 2
    assert not query(ledger, "select 1 from ledger_meta where key = 'archive_was_read'")


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({}, True),
        ({"completion_tokens": 5, "evidence": "log"}, True),
        ({"ts": "2026-01-02T13:14:15.000Z"}, True),
        ({"response_id": None}, True),
        ({"response_id": "msg_another"}, False),
        ({"request_id": "another"}, False),  # what two SDK calls say is two calls
        ({"request_id": "another", "evidence": "log"}, True),
        ({"part": 1}, False),
        ({"request_id": "another", "response_id": "other"}, False),
    ],
)
def test_what_is_the_same(ledger: Ledger, rows: list[dict[str, Any]], changes: dict[str, Any], known: bool) -> None:
    gone = one_of(ledger, rows)
    assert ledger.record_call(**{**gone, **changes}) is not known


def test_importing_a_log_again(ledger: Ledger, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    later = call(request_id="later", ts="2026-04-03T00:00:00.000Z")
    log.write_text("".join(json.dumps(row) + "\n" for row in [*rows, NEW, later, {**NEW, "prompt_tokens": -1}]))
    there = {row[0] for row in query(ledger, "select request_id from ledger")}
    done = ledger.import_file(plugins.importers()["jsonl"], log)
    gone = sum(row["request_id"] not in there for row in rows)
    assert (done.added, done.already_there, done.archived) == (2, len(rows), gone)
    assert len(done.refused) == 1


def test_without_its_files_nobody_can_tell(
    ledger: Ledger, rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, gone = figures(ledger), one_of(ledger, rows)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(LedgerError, match=rf"refused: ts is 2026-01-.*rows before {CUT}.* are archived.*needs pyarrow"):
        ledger.record_call(**gone)
    log = tmp_path / "log.jsonl"
    later = call(request_id="later", ts="2026-04-03T00:00:00.000Z")
    log.write_text("".join(json.dumps(row) + "\n" for row in [gone, later]))
    done = ledger.import_file(plugins.importers()["jsonl"], log)
    assert (done.added, len(done.refused)) == (1, 1)
    assert "whether one is among them can't be told" in done.refused[0].reason
    assert ledger.stamp_call(**gone) is None  # never raises: it waits beside the file
    assert list(spool.waiting(ledger.path).values()) == [1]
    assert ledger.stamp_call(**call(request_id="next", ts="2026-04-04T00:00:00.000Z")) is None
    ledger.close()  # one row that can't be told holds up no other
    ((path, rows_left),) = spool.waiting(ledger.path).items()
    assert (path.suffix, rows_left) == (".refused", 1)
    monkeypatch.undo()
    path.rename(path.with_suffix(""))
    with Ledger(ledger.path):
        assert not spool.waiting(ledger.path)
    assert calls(ledger) == sum(row[7] for row in before["daily_cost"]) + 2


def test_plain_sql_is_refused_with_a_remedy(ledger: Ledger, rows: list[dict[str, Any]]) -> None:
    assert rows
    with raw(ledger) as connection, pytest.raises(sqlite3.IntegrityError, match="import the record with agent-ledger"):
        connection.execute(CALLS.insert, CALLS.row(NEW))
    with raw(ledger) as connection:
        assert archive_identity.horizon(connection, "ledger") == f"{CUT}T00:00:00.000Z"
        connection.execute(CALLS.insert, CALLS.row(call(request_id="r", ts=f"{CUT}T00:00:00.000Z")))
