"""Turns findings into events: what was found, what is decided about it, and what is done, each once.

Everything is written in the transaction of the caller. What stands in the file already is read there too, so two loops
at once, or a tick that is repeated, add nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent_ledger.control import asking, notify, policy
from agent_ledger.control.detect import Finding
from agent_ledger.control.events import Event, record
from agent_ledger.control.policy import Decision
from agent_ledger.records import Row

_DONE = {"notify": "notified", "throttle": "throttled", "block": "blocked"}
STRENGTH = {action: strength for strength, action in enumerate(policy.ACTIONS)}
"""How much an action does, for comparing two."""


@dataclass(slots=True)
class Doing:
    """One tick's hold on the file: where it writes, when it is, who is told, and what it did so far."""

    connection: sqlite3.Connection
    now: str
    notifiers: Sequence[str]
    events: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)  # what was decided and why, a sentence each

    def write(self, event: Event) -> tuple[int, bool]:
        """Record an event once. Whoever is to be told of an act is noted with it."""
        row, new = record(self.connection, event, self.now)
        if new:
            self.events.append(row)
            if event.phase == "act":
                notify.note(self.connection, row, self.notifiers, self.now)
        return row, new


def follow(doing: Doing, finding: Finding, decision: Decision) -> None:
    """Record the finding, what is decided about it where that is new, and do it."""
    if _is_past(doing, finding):
        return
    event = Event(
        phase="detect",
        scope=finding.scope,
        key=finding.key,
        budget=finding.budget,
        verdict=finding.kind,
        once=finding.once,
        detail={"text": finding.text, "percent": finding.percent, **finding.numbers},
    )
    detected, _ = doing.write(event)
    acted = _acted(doing, detected)
    standing = _standing(doing, finding.budget)
    action = decision.action
    if action in ("throttle", "block") and standing and STRENGTH[standing["action"]] >= STRENGTH[action]:
        action = "notify"  # the runtime is told already; whose budget it is may not be
    if action in ("nothing", "notify") and acted:
        return
    if action == "nothing":
        _decide(doing, finding, detected, decision, "nothing", f"{finding.once}|{decision.by}")
        return
    number = _decisions(doing, detected)
    decided, _ = _decide(doing, finding, detected, decision, action, f"{finding.once}|decision {number}")
    perform(doing, finding, decided, action, decision, standing)


def perform(
    doing: Doing,
    finding: Finding,
    decided: int,
    action: str,
    decision: Decision,
    standing: Row | None,
) -> None:
    """Do what event `decided` says: write a directive, where it is one, and the act that somebody is told of."""
    directive = None
    status = finding.status
    if action in ("throttle", "block") and status is not None:
        values = {
            "valid_from": doing.now,
            "valid_until": status["window_end"],
            "scope": finding.scope,
            "key": finding.key,
            "action": action,
            "throttle_to": decision.throttle_to if action == "throttle" else None,
            "budget": finding.budget,
            "reason": finding.text,
            "event_id": decided,
            "lifts": standing["directive_id"] if standing else None,
        }
        directive = insert_directive(doing, values)
    detail = {
        "text": _said(action, decision, status),
        "directive_id": directive,
        "samples": decision.samples,
        "at_most": decision.at_most,
        "percent": finding.percent,
    }
    doing.write(
        Event(
            phase="act",
            scope=finding.scope,
            key=finding.key,
            budget=finding.budget,
            verdict=_DONE[action],
            once=f"act of {decided}",
            cause=decided,
            detail={name: value for name, value in detail.items() if value is not None},
        )
    )


def insert_directive(doing: Doing, values: Mapping[str, Any]) -> int:
    """Write a row of `directive`. Returns its id."""
    sql = f"insert into directive ({', '.join(values)}) values ({', '.join('?' * len(values))})"
    return doing.connection.execute(sql, list(values.values())).lastrowid or 0


def _decide(
    doing: Doing, finding: Finding, detected: int, decision: Decision, action: str, once: str
) -> tuple[int, bool]:
    doing.told.append(f"{finding.text}: {decision.text}")
    event = Event(
        phase="decide",
        scope=finding.scope,
        key=finding.key,
        budget=finding.budget,
        verdict=action,
        once=once,
        cause=detected,
        detail={"text": decision.text, "by": decision.by},
    )
    return doing.write(event)


def _said(action: str, decision: Decision, status: Row | None) -> str:
    until = f" until {status['window_end']}" if status else ""
    if action == "throttle":
        models = ", ".join(f"{old} to {new}" for old, new in policy.models_of(decision.throttle_to).items())
        return f"calls go to a smaller model{until}: {models}"
    return f"calls are refused{until}" if action == "block" else "its owner is told"


def _is_past(doing: Doing, finding: Finding) -> bool:
    """Was a higher step of the same budget and window found before? Prices may have fallen since."""
    if finding.percent is None:
        return False
    place, _, _ = finding.once.rpartition("|")
    found = doing.connection.execute(
        "select 1 from control_event where budget = ? and phase = 'detect' and substr(once, 1, ?) = ?"
        " and json_extract(detail, '$.percent') > ? limit 1",
        [finding.budget, len(place) + 1, f"{place}|", finding.percent],
    ).fetchone()
    return found is not None


def _acted(doing: Doing, detected: int) -> bool:
    found = doing.connection.execute(
        "select 1 from control_event as decided join control_event as act on act.cause = decided.id"
        " where decided.cause = ? and decided.phase = 'decide' and act.phase = 'act' and act.verdict <> 'lifted'",
        [detected],
    ).fetchone()
    return found is not None


def _decisions(doing: Doing, detected: int) -> int:
    return int(doing.connection.execute("select count(*) from control_event where cause = ?", [detected]).fetchone()[0])


def _standing(doing: Doing, budget: str | None) -> Row | None:
    """The strongest directive of a budget that is in force."""
    if budget is None:
        return None
    found = asking.rows(doing.connection, "directive_in_force", doing.now, budget=budget)
    return max(found, key=lambda row: STRENGTH[row["action"]], default=None)
