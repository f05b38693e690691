"""Ends directives: when their window is over, an exception is granted, or the budget is no longer overrun."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from agent_ledger.control.act import Doing, insert_directive
from agent_ledger.control.detect import amount
from agent_ledger.control.events import Event
from agent_ledger.records import Row

_OPEN = """
select directive.*, act.id as act_id, json_extract(act.detail, '$.percent') as percent
from directive
join control_event as act on act.cause = directive.event_id and act.phase = 'act'
where directive.action <> 'lift'
  and not exists (select 1 from directive as later where later.lifts = directive.id)
order by directive.id
"""


def open_directives(connection: sqlite3.Connection) -> list[Row]:
    """Directives that nobody lifted, those whose window is over included, with the act that tells of each."""
    found = connection.execute(_OPEN)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def reason_to_lift(
    directive: Row, status: Mapping[str, Row], exceptions: Mapping[str, Row], now: str
) -> tuple[str, str] | None:
    """What ends a directive at `now`, as the verdict of a detect and a sentence. None: nothing does."""
    budget = directive["budget"]
    if now < directive["valid_from"]:
        return None  # the clock was moved back, and what is spent by then says nothing
    if directive["valid_until"] <= now:
        return "rolled", f"the window of budget {budget} ended at {directive['valid_until']}"
    if budget in exceptions:
        exception = exceptions[budget]
        because = f" ({exception['reason']})" if exception["reason"] else ""
        return "exception", (
            f"{exception['granted_by']} granted an exception of budget {budget} until "
            f"{exception['valid_until']}{because}"
        )
    row = status.get(budget)
    if row is None:
        return "fell", f"budget {budget} has ended"
    if (row["reached_percent"] or 0) < (directive["percent"] or 100):
        return (
            "fell",
            f"{amount(row, 'spent')} of {amount(row, 'limit')} are spent of budget {budget}, which is less again",
        )
    return None


def lift(doing: Doing, directive: Row, verdict: str, text: str) -> None:
    """Write that a directive has ended: what was found, decided and done. Its own verdict is the caller's to write."""
    common = {"scope": directive["scope"], "key": directive["key"], "budget": directive["budget"]}
    once = f"directive {directive['id']} {verdict}"
    detected, new = doing.write(
        Event(phase="detect", verdict=verdict, once=once, cause=directive["act_id"], detail={"text": text}, **common)
    )
    if not new:
        return
    decided, _ = doing.write(
        Event(
            phase="decide",
            verdict="lift",
            once=f"{once}|decision",
            cause=detected,
            detail={"text": f"lift directive {directive['id']}", "by": verdict},
            **common,
        )
    )
    doing.told.append(f"{text}: lift the {directive['action']}")
    insert_directive(
        doing,
        {
            "valid_from": doing.now,
            "valid_until": max(directive["valid_until"], doing.now),
            "scope": directive["scope"],
            "key": directive["key"],
            "action": "lift",
            "budget": directive["budget"],
            "reason": text,
            "event_id": decided,
            "lifts": directive["id"],
        },
    )
    doing.write(
        Event(
            phase="act",
            verdict="lifted",
            once=f"act of {decided}",
            cause=decided,
            detail={"text": f"the {directive['action']} is lifted", "directive_id": directive["id"]},
            **common,
        )
    )


def is_lifted(connection: sqlite3.Connection, act_detail: str) -> bool:
    """Does the file say that the directive, which an act `lifted` names, has ended?"""
    directive = json.loads(act_detail)["directive_id"]
    return connection.execute("select 1 from directive where lifts = ?", [directive]).fetchone() is not None
