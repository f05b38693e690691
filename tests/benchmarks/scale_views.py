"""How long the views of a ledger take, as a reader meets them: warm, and given up after a while."""

from __future__ import annotations

import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent_ledger import reporting
from agent_ledger.ledger import reading
from agent_ledger.schema import scripts

PAGE = 101  # what Datasette fetches of a table: a page of 100, and whether there is more
MONTH = ("2026-09-01T00:00:00.000Z", "2026-10-01T00:00:00.000Z")
THIS_MONTH = ("2026-10-01", "2026-10-31")

# Views with about as many rows as there are calls: their first page is read, and a page of what a reader looks for.
LARGE: dict[str, tuple[str, ...]] = {
    "all_in_by_request": ("request_id",),
    "allocated_charge": ("agent_id",),
    "call_cost": ("request_id", "agent_id"),
    "call_rank": ("request_id",),
    "daily_all_in": ("day", "agent_id"),
    "daily_cost": ("day", "agent_id", "customer_id"),
    "daily_tool_cost": ("day", "agent_id"),
    "focus": ("x_AgentId",),
    "orphan_tool_calls": ("agent_id",),
    "reconciliation_entry": ("day",),
    "call_part": (),
    "token_cost": ("day", "agent_id"),
    "tool_part": (),
    "tool_place": (),
    "tool_rollup_cost": (),
    "tool_rollup_place": (),
    "tool_attribution": (),
    "tool_usage_cost": (),
    "usage_cost": (),
    "usage_place": (),
    "all_in_part": (),
    "rollup_cost": (),
    "rollup_place": (),
    "tool_call": ("request_id",),
    "tool_call_rank": ("tool_call_id",),
    "tool_cost": ("request_id", "agent_id"),
    "usage": ("request_id", "agent_id"),
}

BUDGET = """
  select sum(cost_4096ths + cost_picos / 244140625) / 4096.0 + sum(cost_picos % 244140625) / 1e12
  from usage_cost where grain in ('month', 'call') and agent_id = ? and bucket between ? and ?
"""
"""What an agent spent this month so far."""
QUESTIONS = 200


@dataclass(frozen=True)
class Timing:
    """Seconds of the best warm run, or why there is none."""

    seconds: float | None
    note: str = ""

    def __str__(self) -> str:
        return self.note if self.seconds is None else f"{self.seconds:.4f} s{self.note}"


def timings(path: Path, limit_s: float) -> Iterator[tuple[str, Timing]]:
    """What was asked, and how long it took: views, axes of one month, the question of a budget."""
    with reading(path) as connection:
        values = examples(connection)
        for view in sorted(scripts("views")):
            if view not in LARGE:
                yield f"`{view}`", warm(connection, limit_s, f'select * from "{view}"')
                continue
            yield f"`{view}`, first page", warm(connection, limit_s, f"select * from {view} limit {PAGE}")
            for column in LARGE[view]:
                statement = f"select * from {view} where {column} = ? limit {PAGE}"
                yield f"`{view}` of one {column}", warm(connection, limit_s, statement, values[column])
        for all_in, axes in ((False, (*reporting.AXES, reporting.TOOL)), (True, reporting.ALL_IN_AXES)):
            for by in axes:
                yield f"one month by {by}{', all in' if all_in else ''}", month(connection, limit_s, by, all_in)
        yield from budgets(connection, limit_s)


def examples(connection: sqlite3.Connection) -> dict[str, str]:
    """A typical value of each column that is looked for: from the middle of the ledger."""
    last = connection.execute("select max(id) from audit").fetchone()[0] or 0
    found = connection.execute(
        "select request_id, tool_call_id from audit where id >= ? order by id limit 1", [last // 2]
    ).fetchone() or ("r", "t")
    return {
        "request_id": found[0],
        "tool_call_id": found[1],
        "agent_id": "agent-004",
        "x_AgentId": "agent-004",
        "customer_id": "customer-00020",
        "day": "2026-09-16",
    }


def warm(connection: sqlite3.Connection, limit_s: float, sql: str, *values: object) -> Timing:
    """The better one of the second and third run; of a slow statement only the second, or the first."""

    def ask() -> None:
        for _ in connection.execute(sql, values):  # they need not fit into memory
            pass

    return best(connection, limit_s, ask)


def month(connection: sqlite3.Connection, limit_s: float, by: str, all_in: bool) -> Timing:
    since, until = MONTH
    return best(connection, limit_s, lambda: reporting.report(connection, by, all_in=all_in, since=since, until=until))


def best(connection: sqlite3.Connection, limit_s: float, ask: Callable[[], object]) -> Timing:
    took: list[float] = []
    for _ in range(3):
        start = time.perf_counter()
        try:
            with_limit(connection, limit_s, ask)
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                return Timing(None, f"failed: {error}")
            return Timing(None, f"> {limit_s:.0f} s")
        except sqlite3.Error as error:
            return Timing(None, f"failed: {error}")
        took.append(time.perf_counter() - start)
        if sum(took) > 10:
            break
    return Timing(min(took[1:] or took), "" if len(took) > 1 else " (first run)")


def with_limit(connection: sqlite3.Connection, limit_s: float, ask: Callable[[], object]) -> None:
    deadline = time.perf_counter() + limit_s
    connection.set_progress_handler(lambda: time.perf_counter() > deadline, 100_000)
    try:
        ask()
    finally:
        connection.set_progress_handler(None, 0)


def budgets(connection: sqlite3.Connection, limit_s: float) -> Iterator[tuple[str, Timing]]:
    """The question of a budget, of agents at random."""
    agents = [row[0] for row in connection.execute("select distinct agent_id from agent_assignment order by 1")]
    rng = random.Random(1)
    took = []
    for turn in range(QUESTIONS + 1):
        values = [rng.choice(agents), THIS_MONTH[0][:7], f"{THIS_MONTH[1]}~"]
        start = time.perf_counter()
        try:
            with_limit(connection, limit_s, lambda values=values: connection.execute(BUDGET, values).fetchall())
        except sqlite3.OperationalError:
            break
        if turn:
            took.append(time.perf_counter() - start)
        if sum(took) > 2 * limit_s:
            break
    name = "what one agent spent this month so far"
    if len(took) < 2:
        yield f"{name}, p50", Timing(None, f"> {limit_s:.0f} s")
        return
    note = "" if len(took) == QUESTIONS else f" ({len(took)} questions)"
    yield f"{name}, p50", Timing(statistics.median(took), note)
    yield f"{name}, p99", Timing(statistics.quantiles(took, n=100, method="inclusive")[98], note)
