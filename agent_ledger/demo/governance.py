"""The budgets of the company, and the closed loop that watches over them in November 2026."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from agent_ledger.connection import Writer
from agent_ledger.control import budgets, policy
from agent_ledger.control.loop import Loop
from agent_ledger.demo import company
from agent_ledger.demo.traffic import Fields

_AGENT: Final = "dependency-updater"  # it has spent its budget on Saturday the 14th, and works on
_HAIKU: Final = "claude-haiku-4-5"
SMALLER: Final = (_HAIKU, "anthropic", "", "")
"""The model that it is given instead, as a row of rate_key."""
_SET_AT: Final = "2026-11-01T00:00:00.000Z"
TICKS: Final = (
    *(f"2026-11-{day:02}T08:00:00.000Z" for day in range(3, 14, 2)),
    *(f"2026-11-14T08:{minute}:00.000Z" for minute in (25, 30, 35)),
    *(f"2026-11-{day}T20:00:00.000Z" for day in range(15, 21)),
    company.END,
)
"""When the loop looked: some mornings, each five minutes around the breach, and each evening after that."""


def govern(connection: sqlite3.Connection) -> None:
    """Set the budgets of November, one exception, and the policy."""
    anna, ben = "ann.devon@example.com", "yang.wang@example.com"
    common: dict[str, Any] = {"now": _SET_AT, "period": "month", "recorded_by": ben}
    budgets.set_budget(
        connection, "agent", _AGENT, limit="33.50", on_breach="throttle", throttle_to={"claude-sonnet-*": _HAIKU},
        tier="standard", **common,
    )  # fmt: skip
    budgets.set_budget(connection, "team", "legal", limit=12_000, zone="Europe/Berlin", tier="critical", **common)
    name = budgets.set_budget(connection, "agent", "tender-analyst", limit=3_000, on_breach="block", **common)
    budgets.grant_exception(
        connection, name, now=_SET_AT, until="2026-12-01", granted_by=anna, reason="the tenders of the year end"
    )
    budgets.set_budget(connection, "everything", None, limit=80_000, basis="all-in", hard_percent=150, **common)
    budgets.set_budget(connection, "customer", "acme", now=_SET_AT, period="week", limit=900)
    rules: list[dict[str, Any]] = [
        {"name": "critical work goes on", "finding": "exceeded", "tier": "critical", "action": "notify"},
        {
            "name": "judge small agents early",
            "finding": "exceeded",
            "tier": "standard",
            "action": "throttle",
            "samples": 10,
        },
        {"name": "incomplete is known", "finding": "incomplete", "action": "nothing"},
    ]
    policy.store(connection, rules, now=_SET_AT)


def obey(connection: sqlite3.Connection, calls: Iterable[Fields]) -> None:
    """Let the calls to come go to the smaller model where a directive says so, as the runtime would."""
    if connection.execute("select 1 from directive where key = ? and action = 'throttle'", [_AGENT]).fetchone():
        for call in calls:
            if call["agent_id"] == _AGENT and str(call["model"]).startswith("claude-sonnet-"):
                call["model"] = _HAIKU


@contextmanager
def watching(path: Path) -> Iterator[Loop]:
    """The loop on the demo while it is written. Nobody is told."""
    writer = Writer(path, synchronous="off")
    loop = Loop(writer, quiet=True)
    yield loop
    loop.close()
    writer.close()


def stand_still(connection: sqlite3.Connection) -> None:
    """The demo is a picture of the moment at which it ends: its budgets are shown as of then."""
    connection.execute("insert into ledger_meta (key, value) values ('stands_at', ?)", [company.END])
