"""Measure the views on other engines against the plainest query there: `python tests/benchmarks/far.py [--rows N]`.

One generated ledger (see generate.py) is shipped to a folder of Parquet files and to PostgreSQL; ClickHouse, embedded
by chdb, loads the folder. Then `cost_by_agent` runs on each, and, by turns with it, the statement with one flat price
per model (no dates, tiers, caches, accounts that do not count), which reads the same calls once. In SQLite: with
rollups and without. Figures are the best of three; the rows of all engines are compared.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from chdb import session as chdb
from generate import generate
from ship import server
from traffic import Traffic

from agent_ledger import Ledger, dialects, parquet_views
from agent_ledger.shipping import Shipper
from agent_ledger.sinks import clickhouse_schema

VIEW = "select agent_id, calls, unpriced_calls, cost_usd from cost_by_agent order by agent_id"
PLAIN = (
    "select agent_id, sum(prompt_tokens * input_price + completion_tokens * output_price)"
    " from ledger join price on ledger.model = price.model group by agent_id"
)
Ask = Callable[[str], list[tuple[Any, ...]]]


def best(ask: Ask, sql: str, rounds: int) -> tuple[float, list[tuple[Any, ...]]]:
    """Seconds, and the rows."""
    took, rows = float("inf"), []
    for _ in range(rounds):
        start = time.perf_counter()
        rows = ask(sql)
        took = min(took, time.perf_counter() - start)
    return took, rows


def measure(name: str, ask: Ask, rounds: int, expected: list[tuple[Any, ...]] | None) -> list[tuple[Any, ...]]:
    plain, _ = best(ask, PLAIN, rounds)
    took, rows = best(ask, VIEW, rounds)
    found = [(*row[:3], round(row[3] or 0, 9)) for row in rows]
    same = "" if expected is None or found == expected else "  DIFFERS"
    print(f"| {name} | {took:.2f} s | {plain:.2f} s | {took / plain:.1f} x |{same}", flush=True)
    return found


def clickhouse(folder: Path) -> tuple[Ask, Any]:
    """The engine, with what is in the folder."""
    session = chdb.Session()
    session.query("create database far")
    session.query("use far")

    def ask(sql: str) -> list[tuple[Any, ...]]:
        import pyarrow

        found = session.query(sql, "Arrow").bytes()
        if not found:
            return []
        table = pyarrow.ipc.open_file(found).read_all()
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    clickhouse_schema.prepare(ask, "chdb")
    for table in sorted(path.name for path in folder.iterdir() if path.is_dir()):
        names = ", ".join(f"`{name}`" for name in clickhouse_schema.columns(table))
        session.query(
            f"insert into stored_{table} ({names}) select {names} from file('{folder}/{table}/**/*.parquet', Parquet)"
        )
    return ask, session


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="LLM calls")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--address", help="a PostgreSQL server, in place of the one that runs beside")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        book, files = folder / "ledger.db", folder / "far"
        generate(book, Traffic(rows=given.rows, agents=47, customers=2000, days=90, seed=1, audit_share=0.0))
        print(f"| `cost_by_agent`, {given.rows:,} calls | the view | one flat price per model | ratio |")
        print("|---|---|---|---|")
        with closing(sqlite3.connect(book)) as connection:
            expected = measure("SQLite, call by call", lambda sql: connection.execute(sql).fetchall(), 1, None)
        with Shipper(book, f"{files}/") as shipper:
            start = time.perf_counter()
            shipper.ship()
            print(f"shipped to Parquet in {time.perf_counter() - start:.0f} s", file=sys.stderr)
        with duckdb.connect() as duck:
            for statement in parquet_views.statements(files).values():
                duck.execute(statement)
            measure("DuckDB over Parquet", lambda sql: duck.execute(sql).fetchall(), given.rounds, expected)
        ask, session = clickhouse(files)
        body = dialects.views("clickhouse")["superseded_call"]
        session.query(f"insert into stored_superseded_call {body}")
        measure("ClickHouse (chdb)", ask, given.rounds, expected)
        session.close()
        with server(given.address, folder) as address:
            with Shipper(book, address) as shipper:
                shipper.ship()
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute("analyze")
                measure("PostgreSQL", lambda sql: connection.execute(sql).fetchall(), given.rounds, expected)
        with Ledger(book) as ledger:
            ledger.compact()
        with closing(sqlite3.connect(book)) as connection:
            measure("SQLite, with rollups", lambda sql: connection.execute(sql).fetchall(), given.rounds, expected)


if __name__ == "__main__":
    main()
