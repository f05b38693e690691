"""Measure bills: their import against DuckDB, their allocation to tool calls, and the view of it all.

    python tests/benchmarks/bills.py [--lines N] [--calls N]

A generated Cost and Usage Report, as wide as AWS's own, is imported; DuckDB reads the same file by turns with that, and
its rows go into the same table of another ledger, and into a bare one. DuckDB is left out where it is not installed.

The bill's lines are then allocated to the tool calls, in a process of its own, so that its memory is nobody else's.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from run import calls, rate_line, timed

from agent_ledger import Ledger, clock
from agent_ledger.plugins import importers

try:
    import duckdb
except ImportError:
    duckdb = None

TURNS = 3
HOURS = 720
LINES_OF_RESOURCE = 1_000  # more than one an hour
START = datetime(2026, 10, 1, tzinfo=UTC)
# Operation, usage type, unit and quantity of a line; the last two are nothing that a tool call does.
METERED = (
    ("GetObject", "Requests-Tier2", "Requests", "50"),
    ("PutObject", "Requests-Tier1", "Requests", "5"),
    ("StandardStorage", "TimedStorage-ByteHrs", "GB-Mo", "0.3"),
    ("DataTransfer", "DataTransfer-Out-Bytes", "GB", "0.00001"),
)
UNUSED_COLUMNS = [f"{group}/column{n}" for group in ("product", "reservation", "savingsPlan") for n in range(24)]
CHARGE = (
    "charge_id", "period_start", "period_end", "provider", "account", "service", "resource_id", "operation",
    "usage_type", "quantity", "unit", "cost", "currency", "tags", "description", "cost_picos",
)  # fmt: skip
DUCKDB = """
  select
    "identity/LineItemId" || '@' || "identity/TimeInterval",
    strftime("lineItem/UsageStartDate"::timestamp, '%Y-%m-%dT%H:%M:%S.000Z'),
    strftime("lineItem/UsageEndDate"::timestamp, '%Y-%m-%dT%H:%M:%S.000Z'),
    'aws', "lineItem/UsageAccountId"::varchar, "lineItem/ProductCode", "lineItem/ResourceId", "lineItem/Operation",
    "lineItem/UsageType", "lineItem/UsageAmount"::varchar, "pricing/unit", "lineItem/UnblendedCost"::varchar,
    "lineItem/CurrencyCode", json_object('user:team', "resourceTags/user:team", 'user:env', "resourceTags/user:env"),
    "lineItem/LineItemDescription", round("lineItem/UnblendedCost" * 1e12)::bigint
  from read_csv(?)
"""
DELIVERY = """
  insert into delivery (format, bill, billing_period, content, name)
  values ('cur', 'aws 1', '2026-10', 'charges', 'x')
"""


# -- what is measured -------------------------------------------------------------------------------------------------


def buckets(lines: int) -> int:
    return max(1, lines // LINES_OF_RESOURCE)


def lines_of(count: int, seed: int = 1) -> Iterator[dict[str, str]]:
    """Lines of one month, hour by hour."""
    rng = random.Random(seed)
    for n in range(count):
        start = START + timedelta(hours=n * HOURS // count)
        begins, ends = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (start, start + timedelta(hours=1)))
        operation, usage_type, unit, quantity = METERED[n % len(METERED)]
        yield {
            "identity/LineItemId": f"{rng.randrange(36**8):030x}{n:010d}",
            "identity/TimeInterval": f"{begins}/{ends}",
            "bill/BillingEntity": "AWS",
            "bill/PayerAccountId": "123456789012",
            "bill/BillingPeriodStartDate": "2026-10-01T00:00:00Z",
            "bill/BillingPeriodEndDate": "2026-11-01T00:00:00Z",
            "lineItem/UsageAccountId": "123456789012",
            "lineItem/LineItemType": "Usage",
            "lineItem/UsageStartDate": begins,
            "lineItem/UsageEndDate": ends,
            "lineItem/ProductCode": "AmazonS3",
            "lineItem/UsageType": usage_type,
            "lineItem/Operation": operation,
            "lineItem/ResourceId": f"arn:aws:s3:::bucket-{rng.randrange(buckets(count))}",
            "lineItem/UsageAmount": quantity,
            "lineItem/CurrencyCode": "USD",
            "lineItem/UnblendedCost": f"0.{rng.randrange(1, 10**6):07d}",
            "lineItem/LineItemDescription": "$0.0004 per 10,000 GET and all other requests",
            "pricing/unit": unit,
            "resourceTags/user:team": f"team{n % 9}",
            "resourceTags/user:env": "prod" if n % 3 else "",
        }


def write_bill(file: Path, count: int) -> None:
    with file.open("w", newline="") as out:
        columns = [*next(lines_of(1)), *UNUSED_COLUMNS]
        writer = csv.DictWriter(out, columns, restval="")
        writer.writeheader()
        writer.writerows(lines_of(count))


def tool_calls(count: int, resources: int, seed: int = 1) -> Iterator[dict[str, object]]:
    """Tool calls of the same month, which touch the same buckets: one for each call of `calls`."""
    rng = random.Random(seed)
    step = timedelta(hours=HOURS) / count
    for n in range(count):
        tool_call: dict[str, object] = {
            "ts": clock.timestamp(START + n * step),
            "request_id": f"r{n}",
            "tool_call_id": f"toolu_{n:024d}",
            "tool": "get_object",
            "server": "s3",
            "agent_id": f"agent-{n % 47:02d}",
            "resource_id": f"bucket-{rng.randrange(resources)}",
            "units": rng.randrange(10**6),
            "unit": "bytes",
            "duration_ms": rng.randrange(1000),
            "status": "ok",
        }
        if operation := rng.choice(("GetObject", "PutObject", None)):
            tool_call["operation"] = operation
        yield tool_call


# -- the measurements -------------------------------------------------------------------------------------------------


def imports(folder: Path, count: int) -> list[str]:
    """The import, by turns with DuckDB."""
    file = folder / "bill.csv"
    write_bill(file, count)
    ours: list[float] = []
    theirs: dict[str, list[float]] = {"DuckDB, same table": [], "DuckDB, bare table": []}
    for turn in range(TURNS):
        path = folder / f"bill-{turn}.db"
        with Ledger(path) as ledger:
            ours.append(timed(lambda ledger=ledger: ledger.import_file(importers()["cur"], file)))
        if duckdb is None:
            continue
        for (name, times), make in zip(theirs.items(), (same_table, bare_table), strict=True):
            other = folder / f"{make.__name__}-{turn}.db"
            connection, table = make(other)
            times.append(timed(lambda connection=connection, table=table: by_duckdb(file, connection, table)))
            if totals(connection, table) != totals(sqlite3.connect(path), "charge"):
                sys.exit(f"{name} has other lines: the figures mean nothing")
            connection.close()
    if not theirs["DuckDB, same table"]:
        return [f"| import cur | {count / min(ours):,.0f} rows/s | DuckDB is not installed: left out | |"]
    return [rate_line("import cur", name, count, min(ours), min(times)) for name, times in theirs.items()]


def same_table(path: Path) -> tuple[sqlite3.Connection, str]:
    Ledger(path).close()
    connection = sqlite3.connect(path)
    connection.execute("pragma synchronous = normal")
    connection.execute(DELIVERY)
    return connection, "charge"


def bare_table(path: Path) -> tuple[sqlite3.Connection, str]:
    connection = sqlite3.connect(path)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    connection.execute(f"create table bare (id integer primary key, delivery_id, {', '.join(CHARGE)})")
    return connection, "bare"


def by_duckdb(file: Path, connection: sqlite3.Connection, table: str) -> None:
    insert = f"insert into {table} (delivery_id, {', '.join(CHARGE)}) values (1, {', '.join('?' * len(CHARGE))})"
    with duckdb.connect() as duck:
        found = duck.execute(DUCKDB, [str(file)])
        while rows := found.fetchmany(10_000):
            connection.executemany(insert, rows)
    connection.commit()


def totals(connection: sqlite3.Connection, table: str) -> tuple[int, int]:
    [found] = connection.execute(f"select count(*), sum(cost_picos) from {table}").fetchall()
    return found


def allocation(folder: Path, lines: int, count: int) -> list[str]:
    """The ledger of the first import, with tool calls and as many LLM calls."""
    path = folder / "bill-0.db"
    with Ledger(path) as ledger:
        ledger.record_calls(call | {"request_id": f"r{n}"} for n, call in enumerate(calls(count)))
        ledger.record_tool_calls(tool_calls(count, buckets(lines)))
    command = [sys.executable, __file__, "--allocate", str(path)]
    seconds, megabytes = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    with Ledger(path) as ledger:
        view = min(timed(lambda: ledger.rows("all_in_by_agent")) for _ in range(TURNS))
    with sqlite3.connect(path) as connection:
        [(parts,)] = connection.execute("select count(*) from allocation").fetchall()
    if not parts:
        sys.exit("nothing was allocated: the figures mean nothing")
    return [
        f"| allocation of {lines:,} lines to {count:,} tool calls, {parts:,} parts | {float(seconds):.1f} s | | |",
        f"| … peak memory of the process | {float(megabytes):.0f} MB | | |",
        f"| `all_in_by_agent`, {count:,} calls and {count:,} tool calls | {view:.2f} s | | |",
    ]


def allocate(path: Path) -> None:
    """Print the seconds that it takes and the megabytes of this process."""
    with Ledger(path) as ledger:
        seconds = timed(ledger.allocate)
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=100_000, help="lines of the bill")
    parser.add_argument("--calls", type=int, default=1_000_000, help="tool calls, and as many LLM calls")
    parser.add_argument("--allocate", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.allocate:
        allocate(given.allocate)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ", end="")
        print(f"SQLite {sqlite3.sqlite_version}, {given.lines:,} lines, {given.calls:,} tool calls")
        print(f"load average: {' '.join(f'{one:.1f}' for one in os.getloadavg())}\n")
        print("| what | agent-ledger | alternative, same run | ratio |\n|---|---|---|---|")
        for row in imports(folder, given.lines):
            print(row, flush=True)
        for row in allocation(folder, given.lines, given.calls):
            print(row, flush=True)


if __name__ == "__main__":
    main()
