"""How long does one tick take over many agents? `python tests/benchmarks/loop.py LEDGER.db`, made by generate.py.

Works on a copy, compacted: sets a monthly budget for each agent (UTC, then Europe/Berlin), ticks, and asks for the
budgets one by one. Beside it stands what the same question costs without rollups: the sum over call_cost of one agent's
month. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from agent_ledger import Ledger
from agent_ledger.control import budgets

_ASKED = 200


def seconds(work: Callable[[], Any]) -> float:
    """Of the processor: on a busy machine the wall clock is the scheduler's."""
    start = time.process_time()
    work()
    return time.process_time() - start


def set_budgets(path: Path, now: str, zone: str) -> list[str]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("begin immediate")
        agents = [row[0] for row in connection.execute("select distinct agent_id from usage_key where agent_id <> ''")]
        names = [
            budgets.set_budget(
                connection, "agent", agent, now=now, period="month", limit=1000, zone=zone, name=agent,
                on_breach="throttle", throttle_to="claude-haiku-4-5",
            )
            for agent in agents
        ]  # fmt: skip
        connection.execute("insert or replace into ledger_meta (key, value) values ('stands_at', ?)", [now])
        connection.execute("commit")
    return names


def measure(path: Path, now: str, zone: str) -> dict[str, Any]:
    names = set_budgets(path, now, zone)
    with Ledger(path) as ledger:
        first = seconds(lambda: ledger.loop.tick(now=now))
        later = sorted(seconds(lambda: ledger.loop.tick(now=now)) for _ in range(5))
    with closing(sqlite3.connect(path)) as connection:
        chosen = random.Random(7).choices(names, k=_ASKED)
        asked, spent = (
            sorted(seconds(lambda sql=sql, name=name: connection.execute(sql, [name]).fetchall()) for name in chosen)
            for sql in (
                "select * from budget_status where budget = ?",
                "select cost_4096ths, cost_picos from budget_spend where budget = ?",
            )
        )
        alone = "select sum(cost_picos / 244140625) from call_cost where agent_id = ? and ts >= ? and ts < ?"
        raw = seconds(lambda: connection.execute(alone, [names[0], f"{now[:7]}-01", now]).fetchall())
    return {
        "budgets": len(names),
        "first_tick_s": round(first, 3),
        "tick_median_s": round(statistics.median(later), 3),
        "status_of_one_median_ms": round(1000 * statistics.median(asked), 2),
        "status_of_one_p99_ms": round(1000 * asked[int(0.99 * len(asked))], 2),
        "spend_of_one_median_ms": round(1000 * statistics.median(spent), 2),
        "spend_of_one_p99_ms": round(1000 * spent[int(0.99 * len(spent))], 2),
        "one_agent_without_rollups_ms": round(1000 * raw, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--now", default="2026-10-28T12:00:00.000Z")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.path.parent) as folder:
        copy = Path(folder) / "ledger.db"
        shutil.copy(given.path, copy)
        with Ledger(copy) as ledger:
            ledger.compact()
        with closing(sqlite3.connect(copy)) as connection:
            calls = connection.execute("select max(id) from ledger").fetchone()[0]
        found = {zone: measure(copy, given.now, zone) for zone in ("UTC", "Europe/Berlin")}
    print(json.dumps({"calls": calls, **found}, indent=2))


if __name__ == "__main__":
    main()
