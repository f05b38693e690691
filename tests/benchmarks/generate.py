"""Generate a ledger file of any size, quickly: `python tests/benchmarks/generate.py PATH --rows N`.

The tables, triggers, indexes and views are the package's own, whatever they are by now: `Ledger(path)` makes the file.
The rows (see traffic.py) are then loaded while the triggers and indexes of `ledger` and `audit` are away; what the
triggers would have written is written by hand, and the prices are looked up as for any new model. The tables' checks
hold for the first chunk and are then switched off, for speed. Needs numpy; memory stays flat.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from traffic import CALL_COLUMNS, TOOL_CALL_COLUMNS, Traffic

from agent_ledger import Ledger

_TABLES = ("ledger", "audit", "superseded_call", "rate_key")


def generate(path: Path, traffic: Traffic, *, quiet: bool = False) -> None:
    """Make the ledger at `path`, which appears when it is complete."""
    part = path.with_name(path.name + ".part")
    for suffix in ("", "-wal", "-shm", "-journal"):
        part.with_name(part.name + suffix).unlink(missing_ok=True)
    Ledger(part).close()
    start = time.monotonic()

    def say(what: str) -> None:
        if not quiet:
            print(f"{time.monotonic() - start:8.1f} s  {what}", file=sys.stderr, flush=True)

    with closing(sqlite3.connect(part, isolation_level=None)) as connection:
        for pragma in ("journal_mode = delete", "journal_mode = off", "synchronous = off", "locking_mode = exclusive"):
            connection.execute(f"pragma {pragma}").fetchall()
        connection.execute("pragma cache_size = -131072")
        connection.execute("pragma threads = 2")
        keys: set[tuple[str, str, str]] = set()
        with without_triggers_and_indexes(connection, say):
            for number, chunk in enumerate(traffic.chunks()):
                connection.execute("begin")
                load(connection, "ledger", CALL_COLUMNS, zip(*chunk.calls, strict=True))
                load(connection, "audit", TOOL_CALL_COLUMNS, zip(*chunk.tool_calls, strict=True))
                connection.executemany(
                    "insert into superseded_call (id, by_id, reason) values (?, ?, 'duplicate')", chunk.superseded
                )
                connection.execute("commit")
                connection.execute("pragma ignore_check_constraints = on")
                keys |= chunk.keys
                if number % 20 == 19:
                    say(f"{(number + 1) * len(chunk.calls[0]):,} calls")
            connection.executemany(
                "insert or ignore into rate_key (model, provider, service_tier, region) values (?, ?, ?, '')",
                sorted(keys),
            )
        connection.execute("pragma journal_mode = delete").fetchall()
        connection.execute("pragma locking_mode = normal").fetchall()
    with Ledger(part) as ledger:  # which looks the prices up
        settings(ledger, traffic)
    with closing(sqlite3.connect(part)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()
    part.rename(path)
    took = time.monotonic() - start
    say(f"{traffic.rows:,} calls, {traffic.rows / took:,.0f} per second; {os.path.getsize(path) / 1e9:.2f} GB")


@contextmanager
def without_triggers_and_indexes(connection: sqlite3.Connection, say: Callable[[str], None]) -> Iterator[None]:
    """Take them away from the tables that are loaded, and make them again, word for word, at the end."""
    away = connection.execute(
        f"""
        select type, name, sql from sqlite_schema
        where tbl_name in ({", ".join("?" * len(_TABLES))}) and type in ('trigger', 'index') and sql is not null
        order by rowid
        """,
        _TABLES,
    ).fetchall()
    for kind, name, _ in away:
        connection.execute(f'drop {kind} "{name}"')
    yield
    for kind, name, sql in sorted(away):  # indexes first
        connection.execute(sql)
        if kind == "index":
            say(f"index {name}")


def load(
    connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Iterator[tuple[object, ...]]
) -> None:
    connection.executemany(f"insert into {table} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})", rows)


def settings(ledger: Ledger, traffic: Traffic) -> None:
    """Everybody's team, feature and owner, some of which change in the middle; what two tools cost."""
    middle = traffic.start + timedelta(days=traffic.days // 2, hours=9)
    for number, agent in enumerate(traffic.agent_names()):
        ledger.assign(agent, team=f"team-{number % 9}", feature=f"feature-{number % 14}", owner=f"owner-{number % 20}")
        if number % 13 == 2:
            ledger.assign(agent, team=f"team-{(number + 1) % 9}", valid_from=middle)
        if number % 17 == 3:
            ledger.assign(agent, feature=f"feature-{(number + 5) % 14}", valid_from=middle + timedelta(days=7))
    ledger.set_tool_price("query", "0.002", server="warehouse")
    ledger.set_tool_price("get_object", "0.00000000009", server="storage", unit="bytes")


def traffic_of(given: argparse.Namespace, rows: int) -> Traffic:
    return Traffic(
        rows=rows,
        agents=given.agents,
        customers=given.customers,
        days=given.days,
        seed=given.seed,
        audit_share=given.audit_share,
        response_ids=not given.no_response_id,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=1_000_000, help="LLM calls")
    parser.add_argument("--agents", type=int, default=47)
    parser.add_argument("--customers", type=int, default=2000, help="0: no call names one")
    parser.add_argument("--days", type=int, default=90, help="up to 2026-10-31")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--audit-share", type=float, default=0.2, help="tool calls per LLM call")
    parser.add_argument("--no-response-id", action="store_true")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    add_options(parser)
    given = parser.parse_args()
    if given.path.exists():
        sys.exit(f"{given.path} exists: remove it first")
    generate(given.path, traffic_of(given, given.rows))


if __name__ == "__main__":
    main()
