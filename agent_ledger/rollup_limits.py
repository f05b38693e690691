"""When prices change: the rollups are divided where prices are, and this keeps it so."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple
from operator import itemgetter
from typing import NamedTuple

from agent_ledger import archive_reading, rollup
from agent_ledger.clock import BEGINNING, END
from agent_ledger.pricing import RateKey


class Limits(NamedTuple):
    """Where one combination's prices change: what its calls have to be divided by to have one price each."""

    moments: frozenset[str]
    structure: tuple[tuple[str, frozenset[int], frozenset[str]], ...]  # from a moment on: bands, and parts of the day


def limits(connection: sqlite3.Connection, key: RateKey, table: str = "main.rate") -> Limits:
    """The limits of `key` in a table such as `rate`."""
    rows = connection.execute(
        f"select valid_from, valid_to, time_from, min_tokens from {table}"
        " where model = ? and provider = ? and service_tier = ? and region = ?",
        astuple(key),
    ).fetchall()
    moments = frozenset(moment for row in rows for moment in row[:2]) - {BEGINNING, END}
    structure = []
    for moment in sorted({BEGINNING, *moments}):
        # Where no price is in force, all limits divide the calls (see usage_place).
        holding = [row for row in rows if row[0] <= moment < row[1]] or rows
        structure.append(
            (moment, frozenset(row[3] for row in holding) - {0}, frozenset(row[2] for row in holding) - {"00:00"})
        )
    return Limits(moments, tuple(structure))


def follow(connection: sqlite3.Connection, key: RateKey, before: Limits) -> None:
    """Sum anew what a change of prices touches: `before` are the limits of `key` that the rollups are divided by."""
    after = limits(connection, key)
    whose = rollup.of_rate(key)
    used = f"select exists (select 1 from usage_key where {whose.condition('usage_key')})"
    if after == before:
        return
    connection.execute("update rollup_state set changes = changes + 1")
    if not connection.execute(used, whose.values).fetchone()[0]:
        return
    if _bands_differ(before, after):
        rollup.rebuild(connection, whose)
        return
    for moment in sorted(before.moments ^ after.moments):
        rollup.split(connection, moment, whose)


def fits(connection: sqlite3.Connection, key: RateKey, other: str) -> bool:
    """Can the rollups be priced by the rates of `key` in the table `other`, though they are divided by `rate`?"""
    ours, theirs = limits(connection, key), limits(connection, key, other)
    if not theirs.structure or ours == theirs:
        return True
    within_months = {moment for moment in theirs.moments - ours.moments if not rollup.begins_month(moment)}
    return not within_months and all(
        needed <= given
        for moment in _starts(ours, theirs)
        for needed, given in zip(_bands_at(theirs, moment), _bands_at(ours, moment), strict=True)
    )


def set_aside(connection: sqlite3.Connection) -> None:
    """Let this connection's own views (schema.overlay_views) add up the calls, be they compacted or archived."""
    archive_reading.recall(connection)
    connection.execute("drop table if exists temp.rollup_state")
    connection.execute("create temp table rollup_state as select * from main.rollup_state")
    connection.execute("update temp.rollup_state set ledger_row = 0")


def _bands_differ(one: Limits, other: Limits) -> bool:
    """At any moment?"""
    return any(_bands_at(one, moment) != _bands_at(other, moment) for moment in _starts(one, other))


def _starts(*several: Limits) -> set[str]:
    return {start for limits in several for start, _, _ in limits.structure}


def _bands_at(limits: Limits, moment: str) -> tuple[frozenset[int], frozenset[str]]:
    _, bands, times = max((entry for entry in limits.structure if entry[0] <= moment), key=itemgetter(0))
    return bands, times
