"""The rows of a batch: as lines what they are as tuples, and read when somebody looks at them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from old_rows import archive, past
from support import call, raw, tool_call

from agent_ledger import Ledger, archive_reading, shipped
from agent_ledger.ship_rows import Rows, copy_text
from agent_ledger.shipped import SHIPPED, Shipped

pytestmark = pytest.mark.usefixtures("no_sources")

NEVER_EMPTY = [table for table in SHIPPED if table.never_empty]
LAST = 1 << 32


def rows(connection: sqlite3.Connection, name: str, done: int = 0, last: int = LAST) -> Rows:
    return Rows(connection, next(one for one in SHIPPED if one.name == name), 5, done, last)


@pytest.mark.parametrize("odd", ["a\tb", "a\nb\rc", "\\N", "\\", "🦊", "'%s\"", "plain"])
def test_lines_say_what_tuples_do(ledger: Ledger, odd: str) -> None:
    past(ledger, calls=60)
    ledger.record_call(**call(request_id="odd", customer_id=odd, reported_cost_usd=0.1 + 0.2, usage={odd: 1}))
    ledger.record_tool_call(**tool_call(tool_call_id="odd", tool=odd, units=1e17 + 64, unit="B", cost_usd=1 / 3))
    with raw(ledger) as connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr("agent_ledger.ship_rows._PIECE", 7)
        for name in ("ledger", "audit"):
            found = rows(connection, name, done=3)
            pieces = list(found.lines())
            assert all(piece.endswith("\n") for piece in pieces)
            assert "".join(pieces) == copy_text(list(found), null="")
            assert len(pieces) == -(-len(found) // 7)


@pytest.mark.parametrize("table", NEVER_EMPTY, ids=lambda table: table.name)
def test_no_text_of_these_tables_is_empty(ledger: Ledger, table: Shipped) -> None:
    """In lines, nothing stands for NULL."""
    ledger.record_call(**call())
    ledger.record_tool_call(**tool_call())
    names = [name for name in shipped.columns(table.name) if name != "id"]
    other = {"request_id": "'other'", "tool_call_id": "'other'"}  # else the row is ignored as the same again
    with raw(ledger) as connection:
        for column, kind in shipped.columns(table.name).items():
            if kind == "TEXT" and column != table.except_in:
                values = ", ".join("''" if name == column else other.get(name, f'"{name}"') for name in names)
                with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed"):
                    connection.execute(
                        f"insert into {table.name} ({', '.join(names)}) select {values} from {table.name}"
                    )
        assert rows(connection, table.name).has_lines()
        assert not rows(connection, "price_revision").has_lines()


def test_where_a_text_is_empty_there_are_no_lines(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        connection.execute("pragma ignore_check_constraints = on")
        for request_id, usage in (("a", None), ("b", ""), ("c", None)):
            connection.execute(
                "insert into ledger (ts, agent_id, request_id, model, usage)"
                " values ('2026-01-01T00:00:00.000Z', 'a', ?, 'm', ?)",
                [request_id, usage],
            )
        assert not rows(connection, "ledger").has_lines()
        assert rows(connection, "ledger", done=2).has_lines()


def test_nothing_is_read_before_it_is_asked_for(ledger: Ledger) -> None:
    past(ledger, calls=10)
    said: list[str] = []
    with raw(ledger) as connection:
        connection.set_trace_callback(said.append)
        found = rows(connection, "ledger")
        assert said == []
        assert len(found) == connection.execute("select count(*) from ledger").fetchone()[0] > 10
        assert "agent_id" not in said[0]
        assert found[0] == next(iter(found))
        assert found[1:3] == list(found)[1:3]
        assert sum("agent_id" in sql for sql in said) == 1


def test_months_are_those_of_the_rows(ledger: Ledger) -> None:
    for ts in ("2026-01-31", "2026-02-01", "2026-02-02"):
        ledger.record_call(**call(request_id=ts, ts=ts))
    with raw(ledger) as connection:
        assert rows(connection, "ledger").months() == {"2026-01", "2026-02"}
        assert rows(connection, "ledger", done=1).months() == {"2026-02"}
        assert rows(connection, "price_revision").months() == frozenset()


def test_the_ledger_knows_which_rows_are_alike(ledger: Ledger, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for request_id, evidence in (("one", "log"), ("two", "log"), ("one", "response"), ("three", "log")):
        ledger.record_call(**call(request_id=request_id, evidence=evidence))

    def alike(connection: Any, done: int, last: int) -> list[int] | None:
        found = rows(connection, "ledger", done, last).alike()
        return None if found is None else [number & ((1 << 33) - 1) for number in found]

    with raw(ledger) as connection:
        assert alike(connection, 0, 2) == [1]
        assert alike(connection, 2, 3) == [1]  # what counts instead is there
        assert alike(connection, 3, LAST) == []
        assert rows(connection, "price_revision").alike() is None
    past(ledger, calls=60)
    assert archive(ledger, tmp_path / "archive").rows
    with raw(ledger) as connection:
        archive_reading.recall(connection)
        assert alike(connection, 0, LAST) is None
