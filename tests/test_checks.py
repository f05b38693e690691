"""Running all checks at once."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from support import call, price, raw, tool_call

from agent_ledger import Ledger, checks, schema

pytestmark = pytest.mark.usefixtures("no_sources")


def sound(ledger: Ledger) -> None:
    ledger.record_call(**call())
    ledger.record_tool_call(**tool_call())
    ledger.set_prices([price(input=1, output=1)])


def test_a_sound_ledger_has_no_rows(ledger: Ledger) -> None:
    sound(ledger)
    with raw(ledger) as connection:
        assert checks.run(connection) == []


def test_every_check_is_run_and_says_its_name(ledger: Ledger) -> None:
    ledger.record_call(**call(request_id="q", anomaly="odd"))
    ledger.record_call(**call())
    ledger.record_call(**call(completion_tokens=99))
    ledger.record_tool_call(**tool_call(request_id="missing"))
    with raw(ledger) as connection:
        found = checks.run(connection)
    assert {row["check"] for row in found} >= {"anomalies", "orphan_tool_calls", "request_conflicts", "unpriced_calls"}
    assert all(set(row) == {"check", "subject", "problem"} and row["problem"] for row in found)


def test_every_check_answers_with_subject_and_problem(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        for name, sql in schema.scripts("checks").items():
            assert [column[0] for column in connection.execute(sql).description] == ["subject", "problem"], name


def test_a_missing_parent_is_found(ledger: Ledger) -> None:
    sound(ledger)
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.execute("insert into superseded_call (id, by_id, reason) values (1, 99, 'conflict')")
        connection.commit()
        assert {"check": "integrity", "subject": "superseded_call 1", "problem": "its row of ledger is missing"} in (
            checks.run(connection)
        )


def test_a_damaged_file_is_found(ledger: Ledger) -> None:
    sound(ledger)
    with raw(ledger) as connection:
        connection.execute("pragma writable_schema = on")
        connection.execute(
            "update sqlite_schema set sql = replace(sql, '(request_id)', '(model)') where name = 'ledger_request_id'"
        )
    with raw(ledger) as connection:
        found = [row for row in checks.run(connection) if row["check"] == "integrity"]
    assert found
    assert found[0]["subject"] == "file"
