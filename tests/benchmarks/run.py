"""Measure recording against bare `sqlite3`, in one run: `python tests/benchmarks/run.py [--rows N]`.

Every figure is a ratio against the named alternative, which writes the same rows, in the same order, to a table with
the same columns and the same index, on the same disk, by turns with what is measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import platform
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent_ledger import Call, Ledger, clock
from agent_ledger.plugins import importers

COLUMNS = [field.name for field in dataclasses.fields(Call)]
BARE_TABLE = f"create table ledger (id integer primary key, {', '.join(COLUMNS)})"
BARE_INDEX = "create index ledger_request_id on ledger (request_id)"
BARE_INSERT = f"insert into ledger ({', '.join(COLUMNS)}) values ({', '.join('?' * len(COLUMNS))})"


def calls(count: int, *, customers: bool = True, seed: int = 1) -> Iterator[dict[str, object]]:
    """Realistic calls: 47 agents and 2,000 customers by Zipf's law, ids as long as the providers' own."""
    rng = random.Random(seed)
    agents = rng.choices([f"agent-{n:02d}" for n in range(47)], [1 / (n + 1) for n in range(47)], k=count)
    who = rng.choices([f"customer-{n:04d}" for n in range(2000)], [1 / (n + 1) for n in range(2000)], k=count)
    start, step = datetime(2026, 10, 1, tzinfo=UTC), timedelta(days=61) / count
    for n in range(count):
        read = rng.randrange(0, 20_000)
        call: dict[str, object] = {
            "ts": clock.timestamp(start + n * step),
            "agent_id": agents[n],
            "request_id": f"req_{rng.randrange(62**8):016x}{rng.randrange(16**8):08x}",
            "model": "claude-sonnet-4-5",
            "provider": "anthropic",
            "prompt_tokens": read + rng.randrange(100, 5_000),
            "completion_tokens": rng.randrange(10, 2_000),
            "cache_read_tokens": read,
            "evidence": "response",
        }
        if customers:
            call["customer_id"] = who[n]
        yield call


def bare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    connection.execute(BARE_TABLE)
    connection.execute(BARE_INDEX)
    return connection


def bare_row(call: dict[str, object]) -> tuple[object, ...]:
    return tuple(call.get(column, 0 if column == "part" else None) for column in COLUMNS)


def timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def single_rows(folder: Path, count: int) -> list[str]:
    """One call, one commit, one at a time."""
    ours, theirs = [], []
    connection = bare(folder / "single-bare.db")
    with Ledger(folder / "single.db") as ledger:
        prepared = [(call, bare_row(call)) for call in calls(count)]
        ledger.record_call(**(prepared[0][0] | {"request_id": "warm-up"}))  # looks the price up, once per model
        for call, row in prepared:
            ours.append(timed(lambda call=call: ledger.record_call(**call)))
            theirs.append(timed(lambda row=row: connection.execute(BARE_INSERT, row)))
    connection.close()
    lines = []
    for name, quantile in (("p50", 0.50), ("p99", 0.99)):
        mine, bare_time = (statistics.quantiles(times, n=1000)[round(quantile * 1000) - 1] for times in (ours, theirs))
        lines.append(
            f"| record_call, {name} | {mine * 1e6:.0f} µs | insert and commit: {bare_time * 1e6:.0f} µs "
            f"| {mine / bare_time:.2f} x the time |"
        )
    return lines


def bulk(folder: Path, count: int) -> list[str]:
    batch = list(calls(count))
    rows = [bare_row(call) for call in batch]
    lines = []

    def many(connection: sqlite3.Connection) -> None:
        connection.execute("begin")
        connection.executemany(BARE_INSERT, rows)
        connection.execute("commit")

    def from_json(connection: sqlite3.Connection, file: Path) -> None:
        connection.execute("begin")
        with file.open() as lines:
            connection.executemany(BARE_INSERT, (bare_row(json.loads(line)) for line in lines))
        connection.execute("commit")

    ours, theirs = [], []
    for turn in range(3):
        with Ledger(folder / f"bulk-{turn}.db") as ledger:
            ours.append(timed(lambda ledger=ledger: ledger.record_calls(batch)))
        connection = bare(folder / f"bulk-bare-{turn}.db")
        theirs.append(timed(lambda connection=connection: many(connection)))
        connection.close()
    lines.append(rate_line("record_calls", "executemany", count, min(ours), min(theirs)))

    file = folder / "calls.jsonl"
    file.write_text("".join(json.dumps(call) + "\n" for call in batch))
    with Ledger(folder / "import.db") as ledger:
        mine = timed(lambda: ledger.import_file(importers()["jsonl"], file))
    connection = bare(folder / "import-bare.db")
    lines.append(
        rate_line("import jsonl", "json.loads and executemany", count, mine, timed(lambda: from_json(connection, file)))
    )
    connection.close()
    return lines


def rate_line(what: str, alternative: str, count: int, ours: float, theirs: float) -> str:
    return (
        f"| {what} | {count / ours:,.0f} rows/s | {alternative}: {count / theirs:,.0f} rows/s "
        f"| {theirs / ours:.2f} x the rate |"
    )


def size(folder: Path, count: int) -> list[str]:
    """Bytes per row, index and all, after VACUUM."""

    def bytes_per_row(name: str, customers: bool, response_ids: bool) -> float:
        path = folder / f"{name}.db"
        with Ledger(path) as ledger:
            empty = os.path.getsize(path)
            ledger.record_calls(
                call | ({"response_id": f"msg_01{n:022d}"} if response_ids else {})
                for n, call in enumerate(calls(count, customers=customers))
            )
        connection = sqlite3.connect(path)
        connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.close()
        return (os.path.getsize(path) - empty) / count

    plain = bytes_per_row("plain", False, False)
    stamped = bytes_per_row("stamped", True, False)
    full = bytes_per_row("full", True, True)
    rows = {"bytes per row, customer_id stamped": stamped, "… and with the provider's response_id": full}
    return [
        f"| {what} | {found:.0f} | without customer_id: {plain:.0f} | {found / plain:.2f} x the size |"
        for what, found in rows.items()
    ]


def views(folder: Path, count: int) -> list[str]:
    """The cost per agent, all of history, on raw rows."""
    with Ledger(folder / "views.db") as ledger:
        ledger.record_calls(calls(count))
        mine = min(timed(lambda: ledger.rows("cost_by_agent")) for _ in range(3))
        connection = sqlite3.connect(folder / "views.db")
        seed = (
            "select agent_id, sum(prompt_tokens * input_price + completion_tokens * output_price) "
            "from ledger join price on ledger.model = price.model group by agent_id"
        )
        naive = min(timed(lambda: connection.execute(seed).fetchall()) for _ in range(3))
        connection.close()
    return [
        f"| cost_by_agent | {mine:.2f} s | one flat price per model: {naive:.2f} s | {mine / naive:.1f} x the time |"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the bulk measurements")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = itertools.chain(
            single_rows(folder, min(rows, 20_000)), bulk(folder, rows), size(folder, rows), views(folder, rows)
        )
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ", end="")
        print(f"SQLite {sqlite3.sqlite_version}, {rows:,} rows\n")
        print("| what | agent-ledger | alternative, same run | ratio |\n|---|---|---|---|")
        for line in lines:
            print(line, flush=True)


if __name__ == "__main__":
    main()
