"""Writes what the loop did: one row per event, once, whoever runs the loop and however often."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A row of control_event that may be there already. `detail` has `text`, a sentence with the numbers."""

    phase: str
    scope: str
    key: str
    budget: str | None
    verdict: str
    once: str
    cause: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def record(connection: sqlite3.Connection, event: Event, now: str) -> tuple[int, bool]:
    """Write the event, within a transaction, unless it is there. Returns its row, and whether it is new."""
    there = connection.execute("select id from control_event where once = ?", [event.once]).fetchone()
    if there:
        return int(there[0]), False
    values = {
        "ts": now,
        "phase": event.phase,
        "scope": event.scope,
        "key": event.key,
        "budget": event.budget,
        "cause": event.cause,
        "verdict": event.verdict,
        "detail": json.dumps(dict(event.detail), ensure_ascii=False, allow_nan=False),
        "once": event.once,
    }
    sql = f"insert into control_event ({', '.join(values)}) values ({', '.join('?' * len(values))})"
    return connection.execute(sql, list(values.values())).lastrowid or 0, True
