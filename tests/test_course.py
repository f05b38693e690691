"""How many rows the next step takes, and what it need not find out again."""

from __future__ import annotations

import gc
import sqlite3
from contextlib import suppress

import pytest
from support import call, raw

from agent_ledger import Ledger, course
from agent_ledger.course import Course, Stretch, uncollected


def test_steps_grow_while_nobody_else_writes(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "_ALONE_AFTER_S", 0.0)
    with raw(ledger) as connection:
        connection.isolation_level = None
        one = Course(connection, None)
        before = one.rows
        with one.writing(connection):
            pass
        assert one.rows == 2 * before
        for _ in range(20):
            with one.writing(connection):
                pass
        assert one.rows == course._MOST


def test_steps_are_short_where_others_write(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "_ALONE_AFTER_S", 60.0)
    monkeypatch.setattr(course, "_TOGETHER_S", 0.0)
    with raw(ledger) as connection:
        connection.isolation_level = None
        one = Course(connection, None)
        for _ in range(20):
            ledger.record_call(**call())
            with one.writing(connection):
                pass
        assert one.rows == course._LEAST


def test_a_given_number_stays(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        connection.isolation_level = None
        one = Course(connection, 7)
        with one.writing(connection):
            pass
        assert one.rows == 7


def test_a_transaction_that_fails_is_taken_back(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        connection.isolation_level = None
        one = Course(connection, None)

        def half_way() -> None:
            with one.writing(connection):
                connection.execute("update rollup_state set changes = 7")
                connection.execute("no such statement")

        with pytest.raises(sqlite3.OperationalError):
            half_way()
        assert connection.execute("select changes from rollup_state").fetchone() == (0,)


def test_kinds_are_found_out_anew_where_prices_or_assignments_changed(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        one = Course(connection, None)
        kinds, tool_kinds = (find(connection, Stretch(1, (0, 0), 0)) for find in (one.kinds, one.tool_kinds))
        assert one.kinds(connection, Stretch(5, (0, 0), 3)) is kinds
        assert one.tool_kinds(connection, Stretch(5, (0, 0), 3)) is tool_kinds
        assert one.kinds(connection, Stretch(5, (0, 1), 0)) is not kinds


def test_garbage_waits() -> None:
    assert gc.isenabled()
    with suppress(ZeroDivisionError), uncollected():
        assert not gc.isenabled()
        raise ZeroDivisionError
    assert gc.isenabled()
