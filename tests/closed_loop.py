"""An agent at work beside the closed loop, with a clock that the test sets: what the tests of the loop share."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

from support import price, query, raw

from agent_ledger import Ledger, clock
from agent_ledger.control import budgets, policy
from agent_ledger.control.loop import Tick

SONNET, HAIKU = "claude-sonnet-4-5", "claude-haiku-4-5"
MAPPING = {"claude-sonnet-*": HAIKU}
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
AGENT = "fraud-classifier"


def day(number: float) -> datetime:
    """The moment at which a day of November 2026 begins, from 1 on; 14.5 is the noon of the 14th."""
    return NOVEMBER + timedelta(days=number - 1)


def govern(connection: sqlite3.Connection, now: str = "2026-02-01T13:00:00.000Z") -> None:
    """Let a ledger stand at a moment, with a budget, an exception, a rule, and a directive that was judged."""
    connection.execute("insert or replace into ledger_meta (key, value) values ('stands_at', ?)", [now])
    name = budgets.set_budget(
        connection, "agent", "a", now=now, period="month", limit="0.0001", hard_percent=150, tier="high",
        throttle_to=MAPPING, basis="all-in",
    )  # fmt: skip
    budgets.grant_exception(connection, name, now=now, until="2026-03-01", granted_by="ana", reason="an audit")
    rule = {"name": "night", "action": "throttle", "throttle_to": HAIKU, "hours": "22:00-07:00", "weekdays": [1]}
    conditions = {
        "finding": "step",
        "percent": 50,
        "budget": "*",
        "scope": "agent",
        "key": "a*",
        "team": "t",
        "tier": "x",
    }
    policy.store(connection, [rule | conditions | {"samples": 5, "at_most": "throttle"}], now=now)
    cause = None
    for phase, verdict in (("detect", "exceeded"), ("decide", "throttle"), ("act", "throttled"), ("verify", "worked")):
        detail = json.dumps({"text": "spent", "saving_usd": 0.25})
        cause = connection.execute(
            "insert into control_event (ts, phase, scope, key, budget, cause, verdict, detail, once)"
            " values (?, ?, 'agent', 'a', ?, ?, ?, ?, ?)",
            [now, phase, name, cause, verdict, detail, phase],
        ).lastrowid
    connection.execute(
        "insert into directive (valid_from, valid_until, scope, key, action, throttle_to, budget, reason, event_id)"
        " values (?, '2026-03-01T00:00:00.000Z', 'agent', 'a', 'throttle', '{\"m\": \"n\"}', ?, 'spent', 2)",
        [now, name],
    )


class Company:
    """One agent on Sonnet at $3 and $15 per million tokens, where Haiku costs $1 and $5; each call 3 or 1 cents."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.now = NOVEMBER
        self.calls = 0
        self.refused = 0
        self._clock = sqlite3.connect(ledger.path, isolation_level=None)
        ledger.set_prices(
            [
                price(SONNET, input=3_000_000, output=15_000_000),
                price(HAIKU, input=1_000_000, output=5_000_000),
            ]
        )

    def budget(self, **changes: Any) -> str:
        """A monthly budget of the agent, set when the month begins: throttle at $38."""
        options = {"period": "month", "limit": 38, "on_breach": "throttle", "throttle_to": MAPPING, **changes}
        with raw(self.ledger) as connection:
            return budgets.set_budget(connection, "agent", AGENT, now=clock.timestamp(NOVEMBER), **options)

    def work(self, until: datetime, *, every: timedelta, obeys: bool = True, tick: timedelta | None = None) -> None:
        """Call at each `every` up to a moment, as directives allow, and tick at each `tick`."""
        ticked = self.now
        while self.now + every <= until:
            self.set_clock(self.now + every)
            self.call(obeys=obeys)
            if tick and self.now - ticked >= tick:
                ticked = self.now
                self.tick()

    def history(self, until: datetime, *, every: timedelta) -> None:
        """Call Sonnet at each `every` up to a moment, with nobody watching."""
        moments = []
        while self.now + every <= until:
            self.now += every
            moments.append(self.now)
        self.ledger.record_calls(self._called(SONNET, moment) for moment in moments)
        self.set_clock(until)

    def call(self, *, obeys: bool = True) -> None:
        """One call of Sonnet, or of what the ledger says instead."""
        decision = self.ledger.decide(AGENT, SONNET)
        if obeys and not decision.allowed:
            self.refused += 1
            return
        self.ledger.record_call(**self._called(decision.model if obeys else SONNET, self.now))

    def _called(self, model: str | None, moment: datetime) -> dict[str, Any]:
        self.calls += 1
        return {
            "agent_id": AGENT,
            "request_id": f"req_{self.calls}",
            "model": model,
            "prompt_tokens": 5_000,
            "completion_tokens": 1_000,
            "ts": moment,
        }

    def set_clock(self, moment: datetime) -> None:
        """What time it is, for everybody who asks the ledger."""
        self.now = moment
        self._clock.execute(
            "insert or replace into ledger_meta (key, value) values ('stands_at', ?)", [clock.timestamp(moment)]
        )

    def tick(self) -> Tick:
        """One tick at the present moment."""
        return self.ledger.loop.tick()

    def grant(self, budget: str, until: datetime, **changes: Any) -> None:
        """An exception from now on."""
        with raw(self.ledger) as connection:
            budgets.grant_exception(
                connection, budget, now=clock.timestamp(self.now), until=until, granted_by="ana@example.com", **changes
            )

    def close(self) -> None:
        """Give the clock back."""
        self._clock.close()

    def status(self) -> dict[str, Any]:
        """The row of the agent's budget."""
        [row] = self.ledger.rows("budget_status", key=AGENT)
        return row


def events(ledger: Ledger, *phases: str) -> list[tuple[str, str]]:
    """Phase and verdict of what the loop did, in order."""
    return [
        (phase, verdict)
        for phase, verdict in query(ledger, "select phase, verdict from control_event order by id")
        if not phases or phase in phases
    ]


def chain(ledger: Ledger, event_id: int) -> list[dict[str, Any]]:
    """An event and all before it, the first one first."""
    found: list[dict[str, Any]] = []
    cause: int | None = event_id
    while cause is not None:
        [row] = ledger.rows("control_event", id=cause)
        found.insert(0, {**row, "detail": json.loads(row["detail"])})
        cause = row["cause"]
    return found


def directives(ledger: Ledger) -> list[tuple[str, int | None]]:
    """Action, and the directive that it ends, of every directive in order."""
    return query(ledger, "select action, lifts from directive order by id")
