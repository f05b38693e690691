"""Measure `Ledger.decide` against a bare SELECT by primary key, in one run: `python tests/benchmarks/decide.py`.

The ledger has many directives in force and another process writes to it all the time, as when agents run. Both are
asked by turns on the same file; the bare one does nothing but `select 1 from directive where id = ?`. Then the same for
a reservation under a hard cap and its settlement, against an INSERT and a DELETE of one row, each a transaction. On a
busy machine the tail of the wall clock is the scheduler's, so the times without a preemption stand beside it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from directed import throttle
from support import raw

from agent_ledger import Ledger

AGENTS = 500


def write(path: Path, rows_per_second: int, stop: object) -> None:
    """Somebody else, who records calls."""
    with Ledger(path) as ledger:
        number = 0
        while not stop.is_set():  # type: ignore[attr-defined]
            ledger.record_call(
                agent_id=f"agent-{number % AGENTS}",
                request_id=f"req-{number}",
                model="claude-sonnet-4-5",
                provider="anthropic",
                prompt_tokens=1000,
                completion_tokens=100,
            )
            number += 1
            time.sleep(1 / rows_per_second)


def by_turns(times: int, *works: Callable[[int], object]) -> list[dict[str, list[float]]]:
    """Microseconds of each of these by the wall clock, one after the other, so many times."""
    found: list[dict[str, list[float]]] = [{"all": [], "not preempted": []} for _ in works]
    for number in range(times):
        for place, work in enumerate(works):
            switches, begun = preemptions(), time.perf_counter()
            work(number)
            micros = (time.perf_counter() - begun) * 1e6
            found[place]["all"].append(micros)
            if preemptions() == switches:
                found[place]["not preempted"].append(micros)
    return found


def preemptions() -> int:
    """How often the scheduler took the processor from this thread."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw


def shown(name: str, ours: dict[str, list[float]], bare: dict[str, list[float]]) -> None:
    """Print how they compare."""
    for which, micros in ours.items():
        cuts, others = statistics.quantiles(micros, n=1000), statistics.quantiles(bare[which], n=1000)
        print(
            f"{name}, {which} ({len(micros)} times): median {cuts[499]:.0f} µs, {cuts[499] / others[499]:.1f} times the"
            f" bare one; p99 {cuts[989]:.0f} µs, {cuts[989] / others[989]:.1f} times; p99.9 {cuts[998]:.0f} µs"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20_000)
    parser.add_argument("--rows-per-second", type=int, default=200)
    options = parser.parse_args()
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.db") as ledger:
        for number in range(AGENTS):
            ledger.assign(f"agent-{number}", team=f"team-{number % 20}")
            if number % 2 == 0:
                throttle(ledger, {"claude-sonnet-*": "claude-haiku-4-5"}, key=f"agent-{number}", budget=f"b{number}")
        ledger.set_budget("agent", "agent-1", period="month", limit=10**9, hard_percent=100)
        stop = multiprocessing.Event()
        writer = multiprocessing.Process(target=write, args=(ledger.path, options.rows_per_second, stop))
        writer.start()
        bare = sqlite3.connect(ledger.path, isolation_level=None)
        bare.execute("pragma synchronous = normal")
        bare.execute("create table if not exists bare (id integer primary key, value text)")
        try:
            agents = [f"agent-{rng.randrange(AGENTS)}" for _ in range(options.times)]
            decided, selected = by_turns(
                options.times,
                lambda number: ledger.decide(agents[number], "claude-sonnet-4-5"),
                lambda number: bare.execute("select 1 from directive where id = ?", [number % AGENTS]).fetchone(),
            )
            shown("decide", decided, selected)
            reserved, inserted = by_turns(
                options.times // 10,
                lambda _: ledger.reserve("agent-1", usd="0.05").settle(),
                lambda number: (
                    bare.execute("insert into bare values (?, 'x')", [number]),
                    bare.execute("delete from bare where id = ?", [number]),
                ),
            )
            shown("reserve and settle", reserved, inserted)
        finally:
            stop.set()
            writer.join()
            bare.close()
        with raw(ledger) as connection:
            [calls] = connection.execute("select count(*) from ledger").fetchone()
        print(f"Another process recorded {calls} calls meanwhile. {AGENTS // 2} directives were in force.")


if __name__ == "__main__":
    main()
