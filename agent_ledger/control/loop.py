"""The closed loop: one tick detects, decides, acts and verifies; a runner ticks until it is told to stop."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from agent_ledger import clock, compacting, plugins, schema
from agent_ledger.connection import Writer
from agent_ledger.control import asking, lease, lift, notify, policy, verify, windows
from agent_ledger.control.act import Doing, follow, perform
from agent_ledger.control.detect import Finding, detect
from agent_ledger.control.events import Event
from agent_ledger.control.policy import Decision
from agent_ledger.control.verify import Verdict
from agent_ledger.errors import InvalidRecord, LedgerError
from agent_ledger.records import Row

_log = logging.getLogger("agent_ledger")
_FEW: Final = 500  # calls, which are added up one by one as fast as any
_LOCKED_PAUSE_S: Final = 10.0  # until the next try, where the ledger could not be written
_WAITING: Final = """
  select act.id, act.scope, act.key, act.budget, act.verdict, act.detail from control_event as act
  where act.phase = 'act'
    and not exists (select 1 from control_event as seen where seen.cause = act.id and seen.phase = 'verify')
  order by act.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What one tick did. `told` is a sentence for each decision; `held_by` is who else runs the loop, then nothing was
    done. Of a dry run nothing is in the file, and `events` are counted only."""

    now: str
    budgets: int = 0
    found: int = 0
    events: int = 0
    told: Sequence[str] = ()
    held_by: str | None = None


@dataclass(slots=True)
class _Seen:
    """What a tick has read before it writes."""

    status: dict[str, Row]
    findings: list[Finding]
    verdicts: dict[int, Verdict] = field(default_factory=dict)  # by the act's event


class Loop:
    """The closed loop on one ledger. `tick` once, or `run` until stopped.

    `quiet`: nobody is told, and the file is not compacted either.
    """

    def __init__(self, writer: Writer, *, quiet: bool = False) -> None:
        self._writer = writer
        self._quiet = quiet
        self._holder = lease.new_holder()
        self._reader: sqlite3.Connection | None = None
        self._reads = (0, 0)  # process and thread that the connection belongs to

    def close(self) -> None:
        """Closing twice is harmless; another tick opens what it needs."""
        if self._reader is not None and self._reads == (os.getpid(), threading.get_ident()):
            self._reader.close()
        self._reader = None

    def tick(self, *, now: object = None, dry_run: bool = False) -> Tick:
        """Detect, decide, act and verify once, as of `now` (a time; None: the present). Repeating it adds nothing.

        `dry_run`: nothing is written and nobody is told; the answer says what would be done, and why. Raises
        LedgerError where the file can't be read or written, InvalidRecord for what is no time.
        """
        moment = self._moment(now)
        held_by = None if dry_run else self._take(moment, lease.LEASE_S)
        if held_by:
            return Tick(now=moment, held_by=held_by)
        try:
            return self._tick(moment, dry_run=dry_run)
        finally:
            if not dry_run:
                self._give_back()

    def run(self, every_s: float, stop: threading.Event) -> None:
        """Tick every so many seconds until `stop` is set. Never raises for a ledger that is locked or a tick that
        failed: the log says so, and the next tick follows. One runner of a ledger ticks at a time; the others wait."""
        lease_s = max(lease.LEASE_S, 2 * every_s)
        waiting = False
        while not stop.is_set():
            started, pause = time.monotonic(), every_s
            try:
                moment = self._moment(None)
                held_by = self._take(moment, lease_s)
                if held_by and not waiting:
                    _log.warning("%s runs the loop on %s already: waiting until it ends", held_by, self._writer.path)
                waiting = held_by is not None
                if not waiting:
                    self._tick(moment, dry_run=False)
            except Exception:  # a runner that ends watches over nothing
                _log.warning("The loop could not tick; it tries again", exc_info=True)
                pause = min(_LOCKED_PAUSE_S, every_s)
            stop.wait(max(0.0, pause - (time.monotonic() - started)))
        self._give_back()
        self.close()

    # -- one tick -----------------------------------------------------------------------------------------------------

    def _tick(self, now: str, *, dry_run: bool) -> Tick:
        if not dry_run:
            if not self._quiet:
                self._compact()
            with self._writer.transaction() as connection:
                windows.keep_ahead(connection, now)
        seen = self._seen(now)
        notifiers = {} if dry_run or self._quiet else plugins.notifiers()
        try:
            with self._writer.transaction() as connection:
                doing = Doing(connection, now, list(notifiers))
                _do(doing, seen)
                if dry_run:
                    raise _DryRun
        except _DryRun:
            pass
        if notifiers:
            notify.deliver(self._writer, notifiers, now)
        return Tick(
            now=now,
            budgets=len(seen.status),
            found=len(seen.findings),
            events=len(doing.events),
            told=tuple(doing.told),
        )

    def _seen(self, now: str) -> _Seen:
        """Read, without holding anybody up: what is spent, and what became of what was done."""
        connection = self._reading()
        status, findings = detect(connection, now)
        seen = _Seen({row["budget"]: row for row in status}, findings)
        exceptions = _exceptions(connection, now)
        directives = {row["id"]: row for row in _directives(connection)}
        open_ones = {row["id"]: row for row in lift.open_directives(connection)}
        for act, *_, text in connection.execute(_WAITING).fetchall():
            detail = json.loads(text)
            directive = directives.get(detail.get("directive_id", 0))
            if directive is None or directive["action"] == "lift":
                continue
            still = open_ones.get(directive["id"])
            verdict = verify.judge(
                connection,
                directive,
                samples=detail.get("samples", policy.SAMPLES),
                until=min(now, directive["valid_until"], directive["lifted_at"] or now),
                ended=still is None or lift.reason_to_lift(still, seen.status, exceptions, now) is not None,
                another=lambda: schema.open_for_reading(self._writer.path),
            )
            if verdict is not None:
                seen.verdicts[act] = verdict
        return seen

    def _compact(self) -> None:
        """Bring the rollups up to date, so that each budget's spend comes from them. Views are exact without it too."""
        reach = compacting.reach(self._reading())
        if reach.recorded - reach.rolled < _FEW:
            return
        writer = Writer(self._writer.path, synchronous="normal")
        try:
            compacting.compact(writer.live())
        except sqlite3.Error:
            _log.debug("%s could not be compacted now", self._writer.path, exc_info=True)
        finally:
            writer.close()

    def _reading(self) -> sqlite3.Connection:
        """A connection that only reads, kept from tick to tick, because the views take long to prepare."""
        self._writer.live()  # is it still that file?
        me = (os.getpid(), threading.get_ident())
        if self._reader is None or self._reads != me:
            self._reader, self._reads = schema.open_for_reading(self._writer.path), me
        return self._reader

    def _moment(self, now: object) -> str:
        if now is None:
            return asking.present(self._reading())
        try:
            return clock.parse(now)
        except ValueError:
            raise InvalidRecord("now", now, "give a time such as 2026-11-14T12:00:00Z") from None

    def _take(self, now: str, lease_s: float) -> str | None:
        with self._writer.transaction() as connection:
            return lease.take(connection, self._holder, now, lease_s=lease_s)

    def _give_back(self) -> None:
        with suppress(LedgerError), self._writer.transaction() as connection:
            lease.give_back(connection, self._holder)


class _DryRun(Exception):
    """Takes back what a dry run would have written."""


def _do(doing: Doing, seen: _Seen) -> None:
    """Write what follows from what was seen: verdicts and what they escalate to, ends of directives, new findings."""
    exceptions = _exceptions(doing.connection, doing.now)
    ending = {
        row["id"]: (row, reason)
        for row in lift.open_directives(doing.connection)
        if (reason := lift.reason_to_lift(row, seen.status, exceptions, doing.now)) is not None
    }
    for act in doing.connection.execute(_WAITING).fetchall():
        _verify(doing, seen, act, ending)
    for directive, (verdict, text) in ending.values():
        lift.lift(doing, directive, verdict, text)
    rules = policy.rules_at(doing.connection, doing.now)
    teams = _teams(doing.connection, doing.now)
    for finding in seen.findings:
        follow(doing, finding, policy.decide(finding, rules, exceptions, teams, doing.now))


def _verify(doing: Doing, seen: _Seen, act: Sequence[Any], ending: Mapping[int, Any]) -> None:
    row, scope, key, budget, verdict, text = act
    detail = json.loads(text)
    if verdict == "notified":
        judged = verify.of_notice(_deliveries(doing.connection, row))
    elif verdict == "lifted":
        lifted = lift.is_lifted(doing.connection, text)
        judged = Verdict("worked" if lifted else "did not work", "no longer in force" if lifted else "still in force")
    else:
        judged = seen.verdicts.get(row)
    if judged is None:
        return
    verified, new = doing.write(
        Event(
            phase="verify",
            scope=scope,
            key=key,
            budget=budget,
            verdict=judged.verdict,
            once=f"verify of {row}",
            cause=row,
            detail={"text": judged.text, **judged.numbers},
        )
    )
    directive = detail.get("directive_id")
    if new and judged.verdict == "did not work" and verdict in ("throttled", "blocked") and directive not in ending:
        _escalate(doing, seen, verified, budget, detail, judged)


def _escalate(
    doing: Doing, seen: _Seen, verified: int, budget: str, detail: Mapping[str, Any], judged: Verdict
) -> None:
    """One step more than what did not work; after a block there is only to tell somebody."""
    status = seen.status.get(budget)
    standing = next(
        (row for row in lift.open_directives(doing.connection) if row["id"] == detail["directive_id"]), None
    )
    if status is None or standing is None:
        return
    action = "block" if standing["action"] == "throttle" and detail.get("at_most", "block") == "block" else "notify"
    text = f"{action}, because the {standing['action']} did not work: {judged.text}"
    doing.told.append(f"budget {budget}: {text}")
    decided, _ = doing.write(
        Event(
            phase="decide",
            scope=status["scope"],
            key=status["key"],
            budget=budget,
            verdict=action,
            once=f"decision after {verified}",
            cause=verified,
            detail={"text": text, "by": "escalation"},
        )
    )
    finding = Finding(
        kind="exceeded",
        scope=status["scope"],
        key=status["key"],
        text=text,
        once=f"escalation of {verified}",
        percent=detail.get("percent"),
        status=status,
    )
    decision = Decision(action=action, by="escalation", text=text, samples=detail.get("samples", policy.SAMPLES))
    perform(doing, finding, decided, action, decision, {"directive_id": standing["id"]})


def _exceptions(connection: sqlite3.Connection, now: str) -> dict[str, Row]:
    """The exception of each budget that lasts longest."""
    found = asking.rows(connection, "exception_in_force", now)
    return {row["budget"]: row for row in sorted(found, key=lambda row: str(row["valid_until"]))}


def _teams(connection: sqlite3.Connection, now: str) -> dict[str, str]:
    found = connection.execute(
        "select agent_id, team from assignment where valid_from <= ? and valid_to > ? and team is not null", [now, now]
    )
    return {row[0]: row[1] for row in found}


def _directives(connection: sqlite3.Connection) -> list[Row]:
    found = connection.execute(
        "select directive.*, (select valid_from from directive as later where later.lifts = directive.id) as lifted_at"
        " from directive"
    )
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def _deliveries(connection: sqlite3.Connection, act: int) -> list[Row]:
    found = connection.execute("select notifier, delivered_at, due_at from notification where event_id = ?", [act])
    return [dict(zip(("notifier", "delivered_at", "due_at"), row, strict=True)) for row in found]
