"""A ledger with a past that can be archived: what the tests of the archive share."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from support import call, price, raw, tool_call

from agent_ledger import Ledger, archiving, schema
from agent_ledger.archiving import Archived

CUT = "2026-03-01"
DETAIL = {
    *("usage", "call_rank", "call_cost", "call_part", "usage_place", "rollup_place", "all_in_by_request"),
    *("tool_call", "tool_call_rank", "tool_cost", "tool_part", "tool_attribution", "tool_place", "tool_rollup_place"),
    *("request_conflicts", "archived", "moment"),
}
"""Views of single calls, which lack what is archived; and the present."""

SUMS = tuple(sorted(schema.scripts("views").keys() - DETAIL))
"""Views of sums: what is archived is in them all the same."""


def past(ledger: Ledger, calls: int = 300) -> list[dict[str, Any]]:
    """Calls from January to March, compacted, with prices and assignments that change in mid-month, accounts that do
    not count, tool calls and texts of all kinds. Returns the calls as they were recorded."""
    chance = random.Random(5)
    rows = []
    for number in range(calls):
        minute = number * 90 * 24 * 60 // calls
        day = f"2026-{1 + minute // 43200:02}-{1 + minute // 1440 % 28:02}"
        ts = f"{day}T{minute // 60 % 24:02}:{minute % 60:02}:07.250Z"
        prompt = chance.randrange(1, 300_000)
        rows.append(
            call(
                request_id=f"req_{chance.randrange(10**9):09}_{number}",
                ts=ts,
                agent_id=f"agent-{number % 5}",
                model=("m", "long", "nobody's")[number % 3],
                prompt_tokens=prompt,
                completion_tokens=chance.randrange(0, 9_000),
                cache_read_tokens=chance.choice([None, prompt // 3]),
                customer_id=chance.choice([None, "acme", "Ünïcödé 🦊", "x" * 3_000]),
                feature=chance.choice([None, "chat"]),
                response_id=f"msg_{number:020}",
                usage=chance.choice([None, {"images": 3}, {"seconds": 0.25} if number % 7 == 0 else None]),
                reported_cost_usd=chance.choice([None, 0.1 + number / 7]),
                evidence="response",
                session_id=chance.choice([None, "'; drop table ledger; --\n\t\\\"𝔘"]),
            )
        )
    again = [{**row, "evidence": "log", "prompt_tokens": row["prompt_tokens"] + 1} for row in rows[::9]]
    late = {"request_id": "midnight", "response_id": "msg_" + "m" * 20, "model": "m", "evidence": "log"}
    rows += [*again, call(ts="2026-01-31T23:59:59.900Z", **late), call(ts="2026-02-01T00:00:00.100Z", **late)]
    ledger.assign("agent-1", team="one", feature="search")
    ledger.assign("agent-1", team="two", valid_from="2026-02-10")
    ledger.assign("agent-2", team="two", valid_from="2026-01-20T10:30:00Z")
    ledger.set_prices(
        [
            price(input=1_000_000, cache_read=500_000, output=5_000_000, effective_to="2026-02-03T12:34:56.000Z"),
            price(
                input=2_000_000, output=7_000_000, effective_from="2026-02-03T12:34:56.000Z", units={"seconds": 10**6}
            ),
            price("long", input=1_000_000, output=2_000_000),
            price("long", input=4_000_000, output=6_000_000, above_tokens=200_000),
        ]
    )
    ledger.record_calls(rows)
    for number, row in enumerate(rows[::4]):
        said: dict[str, Any] = [{}, {"status": "error"}, {"cost_usd": 0.5}, {"resource_id": "bucket"}, {}][number % 5]
        known = {
            "request_id": row["request_id"],
            "tool_call_id": f"t{number}",
            "ts": row["ts"],
            "duration_ms": 5,
            **said,
        }
        ledger.record_tool_call(**tool_call(**known, tool=("read", "write")[number % 2]))
        if number % 6 == 0:  # another account of it
            ledger.record_tool_call(**tool_call(**known, tool=("read", "write")[number % 2], server="fuller 🦊"))
    ledger.record_tool_call(**tool_call(request_id=None, tool_call_id="orphan", ts="2026-01-03T00:00:00.000Z"))
    ledger.record_tool_call(**tool_call(request_id=None, tool_call_id="newest", ts="2026-04-01T00:00:00.000Z"))
    ledger.record_call(**call(request_id="newest", ts="2026-04-01T00:00:00.000Z"))
    ledger.compact()
    return rows


def archive(ledger: Ledger, folder: Path, before: str = CUT) -> Archived:
    """Archive what is older than a day."""
    with writing(ledger) as connection:
        return archiving.archive(connection, folder, before)


@contextmanager
def writing(ledger: Ledger | Path) -> Iterator[sqlite3.Connection]:
    """A connection like the library's own."""
    path = ledger.path if isinstance(ledger, Ledger) else ledger
    with closing(schema.open_for_writing(path, synchronous="normal")) as connection:
        yield connection


def figures(ledger: Ledger | Path, views: tuple[str, ...] = SUMS) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of views, in an order of their own, but for the ids of keys, which the order of recording gives."""
    with raw(ledger) as connection:
        return {
            view: sorted(connection.execute(f"select {_told(connection, view)} from {view}"), key=repr)
            for view in views
        }


def _told(connection: sqlite3.Connection, view: str) -> str:
    return ", ".join(row[1] for row in connection.execute(f"pragma table_info({view})") if row[1] != "key_id")


def checks_found(ledger: Ledger | Path, *names: str) -> list[tuple[Any, ...]]:
    """What some checks find."""
    with raw(ledger) as connection:
        return [row for name in names for row in connection.execute(schema.scripts("checks")[name])]
