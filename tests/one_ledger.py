"""The oracle of the far side: one ledger that has recorded the facts of several."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from support import query

from agent_ledger import Ledger, clock, pricebook, schema, shipped

SETTINGS = ("price_revision", "tool_price", "agent_assignment", "exchange_rate", "sharing_rule")
SUMS = (
    *("cost_by_agent", "cost_by_team", "cost_by_feature", "cost_by_customer", "cost_by_model", "cost_by_month"),
    *("all_in_by_agent", "all_in_by_team", "all_in_by_customer", "all_in_by_month", "cost_by_tool", "unpriced_calls"),
)


def one_ledger(path: Path, ledgers: Iterable[Path]) -> Path:
    """A ledger at `path` with all facts of others: settings in the order of recording, calls in that of the hosts'
    numbers, which decide where the order of ids does (whose the tool calls of a request with several LLM calls are).

    Rows are read and inserted in plain SQL.
    """
    with Ledger(path):
        pass
    sources = sorted(
        ledgers, key=lambda source: int(query(source, "select value from ledger_meta where key = 'host'")[0][0])
    )
    with closing(schema.open_for_writing(path, synchronous="off")) as connection:
        for table in SETTINGS:
            columns = [name for name in shipped.columns(table) if name != "id"]
            at = columns.index("recorded_at")
            found = [row for source in sources for row in query(source, f"select {', '.join(columns)} from {table}")]
            _insert(connection, table, columns, sorted(found, key=lambda row: row[at]))
        for table in ("ledger", "audit"):
            columns = [name for name in shipped.columns(table) if name != "id"]
            for source in sources:
                _insert(
                    connection, table, columns, query(source, f"select {', '.join(columns)} from {table} order by id")
                )
        connection.execute("begin")
        pricebook.rebuild(connection, pricebook.keys(connection), clock.now())
        connection.execute("commit")
    return path


def figures(found: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows in an order of their own."""
    return sorted(found, key=repr)


def _insert(connection: sqlite3.Connection, table: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    connection.execute("begin")
    connection.executemany(f"insert into {table} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})", rows)
    connection.execute("commit")
