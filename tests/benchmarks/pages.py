"""Server time of every page of the Datasette plugin: `python tests/benchmarks/pages.py LEDGER…`.

In one process, at Datasette's default limits, with the keys that spent most. The better of several runs counts, after
one that fills the caches; beside it the processor time of that run, which is what is left of it on a busy machine.
Figures that took longer than Datasette allows are counted: they say so on the page instead of being shown.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import time
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import datasette
from datasette.app import Datasette
from datasette_agent_ledger import links

_RUNS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledgers", type=Path, nargs="+")
    parser.add_argument("--period", default="", help="of the pages that have one; else that of the last call")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    asyncio.run(measure(given.ledgers, given.period))


async def measure(ledgers: list[Path], period: str) -> None:
    server = Datasette([str(path) for path in ledgers])
    await server.invoke_startup()
    print(f"Datasette {datasette.__version__}\n\n| page | time | processor | too slow |\n|---|---|---|---|")
    for path in ledgers:
        for name, address in pages(server, path, period):
            best, busy, slow = await timed(server, address)
            print(f"| {path.stem}: {name} | {best * 1000:.0f} ms | {busy * 1000:.0f} ms | {slow or ''} |", flush=True)


def pages(server: Any, path: Path, period: str) -> list[tuple[str, str]]:
    """Their names and addresses."""
    home = links.home(server, path.stem)
    chosen = {"period": period} if period else {}
    found = [("overview", links.home(server, path.stem, **chosen))]
    found += [(f"overview by {axis}", links.home(server, path.stem, by=axis, **chosen)) for axis in links.AXES]
    found.append(("overview, all in", links.home(server, path.stem, cost="all", **chosen)))
    found.append(("overview, Berlin", links.home(server, path.stem, tz="Europe/Berlin", **chosen)))
    found.append(("overview, 90 days", links.home(server, path.stem, period="90d")))
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        for axis, column in links.AXES.items():
            most = (
                f"select {column} from cost_by_{axis} where {column} <> '(unattributed)' order by cost_usd desc limit 1"
            )
            (key,) = connection.execute(most).fetchone()
            found.append((axis, links.of(server, path.stem, axis, key, **chosen)))
        (request,) = connection.execute("select request_id from audit where request_id is not null limit 1").fetchone()
        found.append(("request", links.of(server, path.stem, "request", request)))
    return [*found, *((name, f"{home}/{name}") for name in links.PAGES)]


async def timed(server: Any, address: str) -> tuple[float, float, int]:
    """The best time, the processor time of that run, and how many figures took too long."""
    found: list[tuple[float, float]] = []
    slow = 0
    for _ in range(1 + _RUNS):
        start, busy = time.perf_counter(), time.process_time()
        answer = await server.client.get(address)
        found.append((time.perf_counter() - start, time.process_time() - busy))
        assert answer.status_code == 200, (address, answer.status_code)
        slow = answer.text.count("sql_time_limit_ms")
    return *min(found[1:]), slow


if __name__ == "__main__":
    main()
