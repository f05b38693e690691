"""Compacting: bringing the rollups up to date, in bounded steps, while others write.

Each step sums a stretch of the ledger without holding anybody up, then adds the sums to the rollups in one short
transaction. Killed between or within steps, nothing is lost or counted twice: the views add up what the rollups lack.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final, NamedTuple

from agent_ledger import rollup, tool_rollup
from agent_ledger.course import Course, Stretch, uncollected
from agent_ledger.schema import transaction

STEP: Final = 20_000  # rows of the ledger that one transaction adds after many were recorded
SLACK: Final = 2_000  # rows that may wait before the library compacts by itself
PAUSE: Final = 500  # rows until it does the next step, where many wait: one row in so many takes longer
_SMALL_STEP: Final = 750  # in between, so that nobody waits for long
_OVERTAKEN: Final = 3  # times that a step is tried, because something changed under it
_CHUNK: Final = 20_000  # rows that rollup_chunk and tool_chunk take together
_WITHIN: Final = "place.id between ? and ?"


class Reach(NamedTuple):
    """How far the rollups reach, and how far the ledger does: ids of its rows; 0: none."""

    rolled: int
    recorded: int


def reach(connection: sqlite3.Connection) -> Reach:
    """See Reach."""
    row = connection.execute(
        "select ledger_row, (select coalesce(max(id), 0) from ledger) from rollup_state"
    ).fetchone()
    return Reach(*row)


def compact(
    connection: sqlite3.Connection,
    *,
    up_to: int | None = None,
    rows: int | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> int:
    """Compact up to the ledger row `up_to` (None: all that there are now, and all tool calls), `rows` at a time.

    `rows` None: as many as can be written without holding up others for long. Returns how many rows of the ledger. The
    connection is in autocommit mode and in no transaction. `advance` is told of each step how many rows it took.
    """
    with transaction(connection):
        rollup.mend(connection)
    if up_to is None:
        compact_tool_calls(connection, rows=rows)
    rolled, recorded = reach(connection)
    goal = recorded if up_to is None else min(up_to, recorded)
    start, course = rolled, Course(connection, rows)
    while rolled < goal:
        before, rolled = rolled, step(connection, min(rolled + course.rows, goal), course)
        if rolled == before:
            break  # others change prices or assignments right now
        advance(rolled - before)
    return max(rolled - start, 0)


def compact_tool_calls(connection: sqlite3.Connection, *, up_to: int | None = None, rows: int | None = None) -> int:
    """Compact tool calls up to the audit row `up_to` (None: all that there are now). Returns how many rows."""
    with transaction(connection):
        tool_rollup.mend(connection)
    more = True
    while more:
        with transaction(connection):
            more = tool_rollup.bring_back(connection)
    rolled, recorded = tool_reach(connection)
    goal = recorded if up_to is None else min(up_to, recorded)
    start, course = rolled, Course(connection, rows)
    while rolled < goal:
        before, rolled = rolled, _tool_step(connection, min(rolled + course.rows, goal), course)
        if rolled == before:
            break  # others record LLM calls of these tool calls right now
    return max(rolled - start, 0)


def tool_reach(connection: sqlite3.Connection) -> Reach:
    """How far the rollups of tool calls reach, and how far audit does."""
    row = connection.execute("select audit_row, (select coalesce(max(id), 0) from audit) from rollup_state").fetchone()
    return Reach(*row)


def _tool_step(connection: sqlite3.Connection, last: int, course: Course) -> int:
    """Compact the tool calls up to `last`. Returns how far their rollups reach now."""
    with transaction(connection):  # from now on, what moves among these calls is noted in tool_loose
        connection.execute("update rollup_state set audit_reach = max(audit_reach, ?)", [last])
    for _ in range(_OVERTAKEN):
        stretch = _look_at_tool_calls(connection, last)
        if stretch.first > last:
            break
        ids = (stretch.first, last)
        with uncollected():
            staged = tool_rollup.stage(connection, course.tool_kinds(connection, stretch), _WITHIN, ids)
            if missing := staged.place():
                with transaction(connection):
                    tool_rollup.add_keys(connection, missing)
                staged.place()
            tool_rollup.put(connection, staged)
        chunks = _chunks(connection, "audit", *ids)
        with course.writing(connection):
            if _look_at_tool_calls(connection, last) != stretch:
                continue  # what was summed is not so any more
            tool_rollup.merge(connection)
            connection.executemany("insert or ignore into tool_orphan (id) values (?)", staged.orphans)
            connection.execute("delete from tool_loose where id between ? and ?", ids)
            connection.executemany("insert into tool_chunk values (?, ?, ?, ?)", chunks)
            connection.execute("update rollup_state set audit_row = ?", [last])
    return tool_reach(connection).rolled


def _look_at_tool_calls(connection: sqlite3.Connection, last: int) -> Stretch:
    first, *facts = connection.execute(
        """
        select audit_row + 1, changes, (select coalesce(max(id), 0) from agent_assignment),
          (select coalesce(max(id), 0) from tool_price)
        from rollup_state
        """
    ).fetchone()
    (moved,) = connection.execute("select count(*) from tool_loose where id between ? and ?", [first, last]).fetchone()
    return Stretch(first, tuple(facts), moved)


def keep_up(connection: sqlite3.Connection, steps: int | None = None) -> dict[str, Reach]:
    """Compact the oldest rows where SLACK wait, of each table at most so many `steps`. Returns how far it got.

    What is compacted is brought in step with what others wrote in plain SQL.
    """
    current = "select (select ledger_row from compacted), (select audit_row from compacted)"
    if connection.execute(f"select (ledger_row, audit_row) <> ({current}) from rollup_state").fetchone()[0]:
        with transaction(connection):
            rollup.mend(connection)
            tool_rollup.mend(connection)
    rows = STEP if steps is None else _SMALL_STEP
    reached = {}
    for table, compacted, reaching in (("ledger", compact, reach), ("audit", compact_tool_calls, tool_reach)):
        taken, now = 0, reaching(connection)
        while now.recorded - now.rolled >= SLACK and taken != steps:
            compacted(connection, up_to=now.rolled + rows, rows=rows)
            before, now = now, reaching(connection)
            if now.rolled == before.rolled:
                break  # others change what it is made of right now
            taken += 1
        reached[table] = now
    return reached


def step(connection: sqlite3.Connection, last: int, course: Course) -> int:
    """Compact the rows up to `last`. Returns how far the rollups reach now: further, where somebody else was faster."""
    for _ in range(_OVERTAKEN):
        stretch = _look(connection, last)
        if stretch.first > last:
            break
        ids = (stretch.first, last)
        with uncollected():
            staged = rollup.stage(connection, course.kinds(connection, stretch), _WITHIN, ids)
            if missing := staged.place():
                with transaction(connection):
                    rollup.add_keys(connection, missing)
                staged.place()
            rollup.put(connection, staged)
        chunks = _chunks(connection, "ledger", *ids)
        with course.writing(connection):
            if _look(connection, last) != stretch:
                continue  # what was summed is not so any more
            rollup.merge(connection)
            connection.executemany("insert into usage_loose (id) values (?)", staged.loose)
            connection.executemany("insert into rollup_chunk values (?, ?, ?, ?)", chunks)
            connection.execute("update rollup_state set ledger_row = ?", [last])
    return reach(connection).rolled


def _look(connection: sqlite3.Connection, last: int) -> Stretch:
    first, *facts = connection.execute(
        "select ledger_row + 1, changes, (select coalesce(max(id), 0) from agent_assignment) from rollup_state"
    ).fetchone()
    (superseded,) = connection.execute(
        "select count(*) from superseded_call where id between ? and ?", [first, last]
    ).fetchone()
    return Stretch(first, tuple(facts), superseded)


def _chunks(connection: sqlite3.Connection, table: str, first: int, last: int) -> list[tuple[int, int, str, str]]:
    """Stretches of rows, short enough to be read for the calls of an hour, with the times that they cover."""
    found = []
    for begin in range(first, last + 1, _CHUNK):
        end = min(begin + _CHUNK - 1, last)
        times = f"select min(ts), max(ts) from {table} where id between ? and ?"
        since, until = connection.execute(times, [begin, end]).fetchone()
        if since is not None:
            found.append((begin, end, since, until))
    return found
