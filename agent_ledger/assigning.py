"""Saying to which team, feature and owner an agent belongs."""

from __future__ import annotations

import sqlite3

from agent_ledger import archive_identity, clock, rollup, tool_rollup
from agent_ledger.errors import InvalidRecord, LedgerError
from agent_ledger.records import Assignment
from agent_ledger.validation import check_text


def assign(
    connection: sqlite3.Connection,
    agent_id: str,
    *,
    team: str | None,
    feature: str | None,
    owner: str | None,
    valid_from: object,
) -> Assignment:
    """See Ledger.assign. The caller holds the write transaction."""
    for name, value in {"agent_id": agent_id, "team": team, "feature": feature, "owner": owner}.items():
        if value is not None or name == "agent_id":
            check_text(name, value)
    if team is None and feature is None and owner is None:
        raise LedgerError(f"nothing to assign {agent_id} to: give a team, a feature or an owner")
    start = _start(connection, agent_id, valid_from)
    before = connection.execute(
        "select team, feature, owner from assignment where agent_id = ? and valid_from <= ? and ? < valid_to",
        [agent_id, start, start],
    ).fetchone() or (None, None, None)
    held = Assignment(
        agent_id=agent_id,
        valid_from=start,
        team=before[0] if team is None else team,
        feature=before[1] if feature is None else feature,
        owner=before[2] if owner is None else owner,
    )
    with archive_identity.admitting(connection):
        connection.execute(
            "insert into agent_assignment (agent_id, valid_from, team, feature, owner) values (?, ?, ?, ?, ?)",
            [held.agent_id, held.valid_from, held.team, held.feature, held.owner],
        )
    rollup.mend(connection)
    tool_rollup.mend(connection)
    return held


def _start(connection: sqlite3.Connection, agent_id: str, valid_from: object) -> str:
    if valid_from is not None:
        try:
            return clock.parse(valid_from)
        except ValueError:
            raise InvalidRecord("valid_from", valid_from, "give a date such as 2026-01-31") from None
    known = connection.execute("select 1 from agent_assignment where agent_id = ?", [agent_id]).fetchone()
    return f"{clock.now()[:10]}T00:00:00.000Z" if known else clock.BEGINNING
