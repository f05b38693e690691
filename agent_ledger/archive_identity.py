"""Records of a time that is archived: are they among the archived rows, or new?

The table's triggers can't tell, so they refuse what is older than the newest archived moment. The library looks into
the files, leaves out what is there, and lets the others in.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from agent_ledger import archive_files, clock
from agent_ledger.archive_files import CALLS, TOOL_CALLS, Source, Unreadable
from agent_ledger.recording import Table

_ADMITS: Final = "archive_was_read"
_APART: Final = timedelta(days=1)  # between the times that two accounts of one call may give
_LONG: Final = 20  # characters of a response id that is no counter
_SAID_BY_SDK: Final = ("response", "stream")
_SOURCES: Final = {source.table: source for source in (CALLS, TOOL_CALLS)}
_KEYS: Final = {
    CALLS: ("request_id", "response_id", "part", "evidence"),
    TOOL_CALLS: ("tool_call_id", "request_id"),
}


def horizon(connection: sqlite3.Connection, table: str) -> str:
    """From when on rows of a table are recorded without a look into the archive; empty: always."""
    return str(
        connection.execute("select coalesce(max(until), '') from archive where source = ?", [table]).fetchone()[0]
    )


@contextmanager
def admitting(connection: sqlite3.Connection) -> Iterator[None]:
    """Let rows in that the archive was asked about, within the caller's transaction."""
    connection.execute("insert or replace into ledger_meta (key, value) values (?, ?)", [_ADMITS, clock.now()])
    yield  # where anything is raised, the transaction ends and takes the mark with it
    connection.execute("delete from ledger_meta where key = ?", [_ADMITS])


class Sifted(NamedTuple):
    """Rows to insert, by whether they are in the archive. `untold`: nobody can tell, for the `reason`."""

    new: list[tuple[Any, ...]]
    archived: int
    untold: int = 0
    reason: str | None = None


def is_asked(error: Exception) -> bool:
    """Was a row refused because it may be in the archive?"""
    return isinstance(error, sqlite3.IntegrityError) and str(error).startswith("rows of that time are archived")


def sift(connection: sqlite3.Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> Sifted:
    """Look for rows in the archive, as far as they are old enough to be there."""
    edge = horizon(connection, table.name)
    at = {name: place for place, name in enumerate(table.filled({}))}
    old = {place: row for place, row in enumerate(rows) if row[at["ts"]] < edge}
    if not old:
        return Sifted(list(rows), 0)
    try:
        known = _known(connection, _SOURCES[table.name], {place: _named(at, row) for place, row in old.items()})
    except Unreadable as error:
        reason = f"{table.name} rows before {edge} are archived, and whether one is among them can't be told: {error}"
        return Sifted([row for place, row in enumerate(rows) if place not in old], 0, len(old), reason)
    return Sifted([row for place, row in enumerate(rows) if place not in known], len(known))


def insert(connection: sqlite3.Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> int:
    """Insert rows of any time that are not archived, within the caller's transaction. Returns how many are new.

    Raises sqlite3.IntegrityError, one of recording.REFUSED, where the archive can't be asked.
    """
    sifted = sift(connection, table, rows)
    if sifted.reason:
        at = list(table.filled({})).index("ts")
        raise sqlite3.IntegrityError(f"ts is {min(row[at] for row in rows)}: {sifted.reason}")
    with admitting(connection):
        return connection.executemany(table.insert, sifted.new).rowcount if sifted.new else 0


def _named(at: dict[str, int], row: Sequence[Any]) -> dict[str, Any]:
    return {name: row[place] for name, place in at.items()}


def _known(connection: sqlite3.Connection, source: Source, records: dict[int, dict[str, Any]]) -> set[int]:
    """Which of the records are in the archive: as another account of the same, see the triggers of their table."""
    times = sorted(record["ts"] for record in records.values())
    known: set[int] = set()
    for file in archive_files.archived(connection, source, _shifted(times[0], -_APART), _shifted(times[-1], _APART)):
        near = {
            place: record
            for place, record in records.items()
            if place not in known
            and file.since <= _shifted(record["ts"], _APART)
            and _shifted(record["ts"], -_APART) < file.until
        }
        if near:
            known |= _known_there(file, source, near)
    return known


def _known_there(file: archive_files.File, source: Source, records: dict[int, dict[str, Any]]) -> set[int]:
    keys = _KEYS[source]
    ids = ("request_id", "response_id") if source is CALLS else ("tool_call_id",)
    wanted = {name: {record[name] for record in records.values()} - {None} for name in ids}
    found: dict[tuple[str, Any], list[dict[str, Any]]] = defaultdict(list)
    for values in archive_files.read(file, keys, where={name: values for name, values in wanted.items() if values}):
        row = dict(zip(keys, values, strict=True))
        for name in ids:
            found[name, row[name]].append(row)
    same = _same_inference if source is CALLS else _same_tool_call
    return {
        place
        for place, record in records.items()
        if any(
            same(record, row) for name in ids if record[name] is not None for row in found.get((name, record[name]), ())
        )
    }


def _same_inference(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """As in the trigger ledger_same_inference."""
    if one["part"] != other["part"]:
        return False
    response = one["response_id"]
    if one["request_id"] == other["request_id"] and (
        response is None or other["response_id"] is None or response == other["response_id"]
    ):
        return True
    if response is None or response != other["response_id"] or len(response) < _LONG:
        return False
    both = one["evidence"] in _SAID_BY_SDK and other["evidence"] in _SAID_BY_SDK
    return not both or response in (one["request_id"], other["request_id"])


def _same_tool_call(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """As in the trigger audit_same_tool_call."""
    return one["request_id"] is None or other["request_id"] is None or one["request_id"] == other["request_id"]


def _shifted(ts: str, step: timedelta) -> str:
    try:
        return clock.timestamp(datetime.fromisoformat(ts) + step)
    except OverflowError:
        return ts
