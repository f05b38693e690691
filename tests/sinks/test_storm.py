"""Three ledgers ship to one PostgreSQL while they are written to, and everything is killed at random."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import accounts
import pytest
from one_ledger import SUMS, one_ledger
from postgres_server import Server, connect, rows
from same_rows import assert_same_rows
from support import call, price, query, raw, start_child

from agent_ledger import Ledger, dialects, shipping
from agent_ledger.errors import LedgerError
from agent_ledger.shipping import Shipper
from agent_ledger.sinks.postgres import Postgres

pytestmark = [pytest.mark.usefixtures("no_sources"), pytest.mark.slow]

# These tell of rows that do not count, too. A row that two hosts recorded is two rows there, and of several that count
# more another may be named; test_conformance.py compares them.
OF_EVERY_ROW = {
    "call_rank",
    "superseded_call",
    "tool_call_rank",
    "superseded_tool_call",
    "tool_attribution",
    "request_conflicts",
}
HOSTS = 3
SECONDS = float(os.environ.get("AGENT_LEDGER_STORM_SECONDS", "8"))


def record(path: Path, number: int, until: float) -> None:
    """Calls of its own, calls that others record too, tool calls, assignments and prices, one by one."""
    chance = random.Random(number)
    with Ledger(path) as ledger:
        count = 0
        while time.time() < until:
            count += 1
            fact = accounts.of_group(chance, chance.randrange(40))
            (ledger.record_tool_call if "tool" in fact else ledger.record_call)(**fact)
            ledger.record_calls(
                call(request_id=f"{number} {count} {row}", agent_id=f"agent {number}") for row in range(5)
            )
            if count % 40 == 0:
                ledger.assign(chance.choice("ab"), team=chance.choice(["one", "two"]), valid_from="2026-01-10")
                ledger.set_prices([price(input=chance.randrange(1, 10**6), output=5)])
            time.sleep(0.005)


def ship(path: Path, database: str) -> None:
    with pytest.MonkeyPatch.context() as patch, Shipper(path, database) as shipper:
        patch.setattr(Postgres, "batch_rows", 150)
        shipping.keep_shipping(shipper, every=0.05, say=lambda _: None)


def kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_at_the_end_every_row_is_there_once_and_every_view_is_that_of_one_ledger(
    tmp_path: Path, server: Server
) -> None:
    chance, database = random.Random(3), server.schema()
    paths = [tmp_path / f"{number}.db" for number in range(HOSTS)]
    for path in paths:
        Ledger(path).close()
    until = time.time() + SECONDS
    works: list[Callable[[], None]] = [
        *(lambda path=path, number=number: record(path, number, until) for number, path in enumerate(paths)),
        *(lambda path=path: ship(path, database) for path in paths),
    ]
    children = [start_child(work) for work in works]
    kills = crashes = 0
    while time.time() < until:
        time.sleep(chance.random() * 0.8)
        victim = chance.randrange(len(works) + 1)
        if victim < len(works):
            kill(children[victim])
            children[victim] = start_child(works[victim])
            kills += 1
        elif server.ours:
            server.kill()
            crashes += 1
    for child in children:
        kill(child)
    assert kills + crashes > 3

    for path in paths:
        with suppress(LedgerError):  # the server may just have come back
            ship_all(path, database)
        ship_all(path, database)
    with connect(database) as connection:
        for table in ("ledger", "audit", "price_revision", "agent_assignment"):
            there = connection.execute(f"select count(*), count(distinct (host, id)) from {table}").fetchone()
            expected = sum(query(path, f"select count(*) from {table}")[0][0] for path in paths)
            assert there == (expected, expected), table
        assert expected
        union = one_ledger(tmp_path / "union.db", paths)
        assert_every_view_says_the_same(connection, union)
    assert rows(database, "select count(*) > 0 from superseded_call where id >> 33 <> by_id >> 33") == [(True,)]


def assert_every_view_says_the_same(connection: Any, union: Path) -> None:
    """In every column but those that name a row, which has another number there."""
    filled = set()
    with raw(union) as here:
        for view in dialects.views("postgres").keys() - OF_EVERY_ROW:
            columns = [name for name, kind in dialects.columns(view).items() if not names_a_row(name, kind)]
            if not columns:
                continue
            named = ", ".join(f'"{name}"' for name in columns)
            sql = f"select {named} from {view}"
            found, wanted = (
                [dict(zip(columns, row, strict=True)) for row in asked.execute(sql).fetchall()]
                for asked in (connection, here)
            )
            assert_same_rows(found, wanted, view)
            if wanted:
                filled.add(view)
    assert filled >= {*SUMS, "call_cost", "tool_cost", "all_in_by_request", "daily_all_in", "monthly_figure", "focus"}


def names_a_row(column: str, kind: str) -> bool:
    return kind == "integer" and column.endswith(("id", "_row"))


def ship_all(path: Path, database: str) -> None:
    with Shipper(path, database) as shipper:
        shipping.keep_shipping(shipper, every=None, say=lambda _: None)
