"""Directives in a ledger, for the tests of what obeys them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from support import raw

from agent_ledger import Ledger, clock

END = "2999-01-01T00:00:00.000Z"


def direct(
    ledger: Ledger,
    action: str,
    *,
    scope: str = "agent",
    key: str = "scraper",
    throttle_to: Mapping[str, str] | None = None,
    valid_until: str = END,
    lifts: int | None = None,
    budget: str = "scraping",
) -> int:
    """Write a directive and the events that it follows from. Returns its id."""
    with raw(ledger) as connection:
        now, cause = clock.now(), None
        for phase, verdict in (("detect", "exceeded"), ("decide", action)):
            cause = connection.execute(
                "insert into control_event (ts, phase, scope, key, budget, cause, verdict, detail, once)"
                " values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [now, phase, scope, key, budget, cause, verdict, '{"text": "120 of 100 USD"}', clock.sortable_id()],
            ).lastrowid
        written = connection.execute(
            "insert into directive (valid_from, valid_until, scope, key, action, throttle_to, budget, reason, event_id,"
            " lifts) values (?, ?, ?, ?, ?, ?, ?, 'spent 120 of 100 USD', ?, ?)",
            [
                now,
                valid_until,
                scope,
                key,
                action,
                json.dumps(throttle_to) if throttle_to else None,
                budget,
                cause,
                lifts,
            ],
        )
        return written.lastrowid or 0


def throttle(ledger: Ledger, mapping: Mapping[str, str], **where: str) -> int:
    """From now on these models become others."""
    return direct(ledger, "throttle", throttle_to=mapping, **where)


def block(ledger: Ledger, **where: str) -> int:
    """From now on no call is made."""
    return direct(ledger, "block", **where)


def lift(ledger: Ledger, directive_id: int, **where: str) -> int:
    """End a directive."""
    return direct(ledger, "lift", lifts=directive_id, **where)
