"""What an owner is told of a control event: who, how much of which limit, what was done, until when, and what then."""

from __future__ import annotations

import json
import shlex
import sqlite3
from pathlib import Path
from typing import Any

from agent_ledger.hookspecs import Message

_CHAIN = """
with recursive chain (id, cause, depth) as (
  select id, cause, 0 from control_event where id = ?
  union all
  select control_event.id, control_event.cause, depth + 1
  from chain
  join control_event on control_event.id = chain.cause
)
select control_event.id, ts, phase, scope, key, budget, verdict, detail
from chain join control_event using (id)
order by depth desc
"""
_ASSIGNED = """
select owner, team from agent_assignment
where agent_id = ? and valid_from <= ?
order by valid_from desc, id desc
limit 1
"""
_DIRECTIVE = """
select id, action, valid_until, throttle_to from directive
where event_id in (select value from json_each(?)) and action <> 'lift'
order by id desc
limit 1
"""


def message(connection: sqlite3.Connection, event_id: int) -> Message:
    """The message about an event and those that led to it. `data` is the same as JSON values, the events as `chain`."""
    chain = [_event(row) for row in connection.execute(_CHAIN, [event_id])]
    event = chain[-1]
    owner, team = _assigned(connection, event)
    directive = connection.execute(_DIRECTIVE, [json.dumps([one["id"] for one in chain])]).fetchone()
    until = directive[2] if directive else None
    whose = "everything" if event["scope"] == "everything" else f"{event['scope']} {event['key']}"
    of_budget = f" (budget {event['budget']})" if event["budget"] else ""
    lines = [sentence for one in chain if (sentence := one["detail"].get("text"))]
    if directive:
        lines.append(f"This holds until {until}, or until it is lifted.")
    if owner or team:
        lines.append(f"Owner: {owner or 'nobody'}, team: {team or 'none'}")
    if event["budget"] and event["verdict"] in ("notified", "throttled", "blocked"):
        lines.append(f"To let it go on: {_exception(connection, event['budget'])}")
    return Message(
        id=f"{event_id}-{event['ts']}",
        title=f"{whose}: {event['verdict']}{of_budget}",
        text="\n".join(lines),
        data={
            **{name: event[name] for name in ("ts", "phase", "verdict", "scope", "key", "budget")},
            "event_id": event_id,
            "owner": owner,
            "team": team,
            "until": until,
            "throttle_to": json.loads(directive[3]) if directive and directive[3] else None,
            "chain": chain,
        },
    )


def _event(row: tuple[Any, ...]) -> dict[str, Any]:
    names = ("id", "ts", "phase", "scope", "key", "budget", "verdict")
    return {**dict(zip(names, row, strict=False)), "detail": json.loads(row[-1])}


def _assigned(connection: sqlite3.Connection, event: dict[str, Any]) -> tuple[str | None, str | None]:
    if event["scope"] == "team":
        return None, event["key"]
    if event["scope"] != "agent":
        return None, None
    found = connection.execute(_ASSIGNED, [event["key"], event["ts"]]).fetchone()
    return found or (None, None)


def _exception(connection: sqlite3.Connection, budget: str) -> str:
    file = Path(connection.execute("select file from pragma_database_list where name = 'main'").fetchone()[0]).name
    return f"agent-ledger budget {shlex.quote(file)} except {shlex.quote(budget)} --until DATE --by NAME"
