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


def cap(
    ledger: Ledger,
    *,
    scope: str = "agent",
    key: str = "scraper",
    usd: float | None = 1,
    tokens: int | None = None,
    hard_percent: int | None = 100,
    currency: str = "USD",
    name: str = "scraping",
) -> None:
    """A budget for January 2026 to the end of 2998 with a hard cap."""
    micros = None if usd is None else round(usd * 10**6)
    with raw(ledger) as connection:
        connection.execute(
            "insert into budget (name, event, valid_from, scope, key, period, zone, basis, limit_micros, currency,"
            " limit_tokens, on_breach, hard_percent)"
            " values (?, 'set', '2026-01-01T00:00:00.000Z', ?, ?, 'month', 'UTC', 'llm', ?, ?, ?, 'notify', ?)",
            [name, scope, key, micros, currency if micros else None, tokens, hard_percent],
        )
        connection.execute(
            "insert or ignore into budget_window (zone, period, starts, ends, name)"
            " values ('UTC', 'month', '2026-01-01T00:00:00.000Z', '2999-01-01T00:00:00.000Z', '2026-01')"
        )
