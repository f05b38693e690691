"""The archive as tables: archived rows beside those of the file, or in their stead, on one connection and for a while.

Temporary tables and views of the same names hide the file's own from this connection's statements and from its own
views (schema.overlay_views), not from triggers and views of the file.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from agent_ledger import archive_files, schema
from agent_ledger.archive_files import CALLS, TOOL_CALLS, File, Source, Unreadable

_SOURCES = (CALLS, TOOL_CALLS)


def any_archived(connection: sqlite3.Connection, source: Source = CALLS, since: str = "", until: str = "~") -> bool:
    """Are rows of that time in the archive?"""
    return bool(archive_files.archived(connection, source, since, until))


def recalled(connection: sqlite3.Connection, since: str = "", until: str = "~") -> Iterator[None]:
    """File by file, let `ledger`, `superseded_call` and `usage_place` be the archived calls of that time, and no other.

    For summing anew within a write transaction. Raises Unreadable; then the caller's transaction has to end.
    """
    for file in archive_files.archived(connection, CALLS, since, until):
        try:
            _make(connection, CALLS, CALLS.table, CALLS.superseded)
            _fill(connection, CALLS, file, CALLS.table, CALLS.superseded, since=since, until=until)
            connection.execute(f"create temp view usage_place as {schema.scripts('views')['usage_place']}")
            yield
        finally:
            connection.execute("drop view if exists temp.usage_place")
            for table in (CALLS.superseded, CALLS.table):
                connection.execute(f"drop table if exists temp.{table}")


def recalled_tool_calls(connection: sqlite3.Connection, since: str = "", until: str = "~") -> Iterator[None]:
    """Like `recalled`, for `audit`, `superseded_tool_call` and `tool_place`, with the LLM calls that asked for them."""
    for file in archive_files.archived(connection, TOOL_CALLS, since, until):
        try:
            _make(connection, TOOL_CALLS, TOOL_CALLS.table, TOOL_CALLS.superseded)
            _fill(connection, TOOL_CALLS, file, TOOL_CALLS.table, TOOL_CALLS.superseded, since=since, until=until)
            asked = {row[0] for row in connection.execute("select distinct request_id from temp.audit")} - {None}
            _make(connection, CALLS, CALLS.table, CALLS.superseded)
            _copy(connection, CALLS, asked)
            _insert(connection, CALLS, _of_request(connection, CALLS, asked), CALLS.table, CALLS.superseded)
            for view in ("tool_attribution", "tool_place"):
                connection.execute(f"create temp view {view} as {schema.scripts('views')[view]}")
            yield
        finally:
            for view in ("tool_place", "tool_attribution"):
                connection.execute(f"drop view if exists temp.{view}")
            for table in (CALLS.superseded, CALLS.table, TOOL_CALLS.superseded, TOOL_CALLS.table):
                connection.execute(f"drop table if exists temp.{table}")


def recall(connection: sqlite3.Connection, since: str = "", until: str = "~") -> bool:
    """Let all of this connection's own views see the archived rows of that time too, for as long as it is open.

    Slow where they are many. Returns False, with nothing changed, where none is archived. Raises Unreadable.
    """
    found = [source for source in _SOURCES if any_archived(connection, source, since, until)]
    for source in found:
        names = {table: f"archived_{table}" for table in (source.table, source.superseded)}
        if not _is_recalled(connection, source):
            _make(connection, source, *names.values())
            for table, beside in names.items():
                columns = ", ".join(f'"{name}"' for name in archive_files.declared(connection, table))
                connection.execute(
                    f"create temp view {table} as"
                    f" select {columns} from main.{table} union all select {columns} from temp.{beside}"
                )
        for file in archive_files.archived(connection, source, since, until):
            _fill(connection, source, file, *names.values(), since=since, until=until)
    if found:
        _lay_views(connection)
    return bool(found)


def _is_recalled(connection: sqlite3.Connection, source: Source) -> bool:
    """Does the connection have archived rows of a source already?"""
    there = "select exists (select 1 from temp.sqlite_schema where name = ?)"
    return bool(connection.execute(there, [source.table]).fetchone()[0])


def _lay_views(connection: sqlite3.Connection) -> None:
    """As schema.overlay_views, but for views that the connection has of its own already."""
    for name, body in schema.scripts("views").items():
        connection.execute(f'create temp view if not exists "{name}" as {body}')


def recall_request(connection: sqlite3.Connection, request_id: str) -> bool:
    """Let this connection's own views see one request as it was before it was archived, and no other calls.

    Returns False, with nothing changed, where nothing of it is archived. Raises Unreadable.
    """
    if _is_recalled(connection, CALLS):
        return True
    rows = {source: list(_of_request(connection, source, {request_id})) for source in _SOURCES}
    if not any(rows.values()):
        return False
    at = list(archive_files.columns(connection, CALLS))
    calls = [dict(zip(at, row, strict=True)) for row in rows[CALLS]]
    requests = {request_id, *(call["request_id"] for call in calls)}
    known = {row[0] for row in rows[TOOL_CALLS]}
    rows[TOOL_CALLS] += [
        row for row in _of_request(connection, TOOL_CALLS, requests - {request_id}) if row[0] not in known
    ]
    for source in _SOURCES:
        _make(connection, source, source.table, source.superseded)
        _copy(connection, source, requests)
        _insert(connection, source, rows[source], source.table, source.superseded)
    _lay_views(connection)
    return True


# -- rows -------------------------------------------------------------------------------------------------------------


def _of_request(connection: sqlite3.Connection, source: Source, requests: Collection[str]) -> Iterator[tuple[Any, ...]]:
    """The archived rows of requests, and those that tell of the same, with what was added to them."""
    kinds = list(archive_files.columns(connection, source))
    at = {name: place for place, name in enumerate(kinds)}
    for file in archive_files.archived(connection, source) if requests else ():
        found = {row[0]: row for row in archive_files.read(file, kinds, requests=requests)}
        fresh = {key for key, row in found.items() if row[at["batch"]] == 0}  # accounts of one inference: in one file
        while fresh:
            counted = {found[key][at["superseded_by"]] for key in fresh} - {None}
            others = archive_files.read(file, kinds, where={"id": counted, "superseded_by": fresh})
            more = {row[0]: row for row in others if row[0] not in found}
            found |= more
            fresh = set(more)
        yield from found.values()


def _copy(connection: sqlite3.Connection, source: Source, requests: Collection[str]) -> None:
    """The rows of requests that are not archived, and those that tell of the same."""
    connection.execute(
        f"""
        insert into temp.{source.table}
        with recursive told as (
          select id from main.{source.table} where request_id in (select value from json_each(?))
          union
          select iif(pair.id = told.id, pair.by_id, pair.id) from told
          join main.{source.superseded} as pair on pair.id = told.id or pair.by_id = told.id
        )
        select * from main.{source.table} where id in (select id from told)
        """,
        [json.dumps(sorted(requests))],
    )
    connection.execute(
        f"insert into temp.{source.superseded}"
        f" select * from main.{source.superseded} where id in (select id from temp.{source.table})"
    )


def _make(connection: sqlite3.Connection, source: Source, table: str, superseded: str) -> None:
    """Empty temporary tables like those of a source."""
    for name, like in ((table, source.table), (superseded, source.superseded)):
        columns = archive_files.declared(connection, like)
        named = ", ".join(
            f'"{column}" {kind}{" primary key" if column == "id" else ""}' for column, kind in columns.items()
        )
        connection.execute(f"drop table if exists temp.{name}")
        connection.execute(f"create temp table {name} ({named})")


def _fill(
    connection: sqlite3.Connection, source: Source, file: File, table: str, superseded: str, *, since: str, until: str
) -> None:
    kinds = list(archive_files.columns(connection, source))
    _insert(connection, source, archive_files.read(file, kinds, since=since, until=until), table, superseded)


def _insert(
    connection: sqlite3.Connection, source: Source, rows: Iterable[Sequence[Any]], table: str, superseded: str
) -> None:
    width = len(archive_files.declared(connection, source.table))
    told: list[tuple[Any, ...]] = []

    def bare() -> Iterator[Sequence[Any]]:
        for row in rows:
            if row[width] is not None:
                told.append((row[0], row[width], row[width + 1]))
            yield row[:width]

    connection.executemany(f"insert or ignore into temp.{table} values ({', '.join('?' * width)})", bare())
    connection.executemany(f"insert or ignore into temp.{superseded} values (?, ?, ?)", told)


__all__ = ("Unreadable", "any_archived", "recall", "recall_request", "recalled")
