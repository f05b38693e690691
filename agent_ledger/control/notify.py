"""Delivers messages about control events: each once, tried again later where that fails, and never waited for long.

Who is to be told is noted in the transaction that writes the event. Whoever delivers takes the message first, so that
two processes don't both send it; a process that ends meanwhile has it for some minutes only.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from agent_ledger import clock
from agent_ledger.connection import Writer
from agent_ledger.control.messages import message
from agent_ledger.errors import NotificationFailed
from agent_ledger.hookspecs import Message, Notifier

_log = logging.getLogger("agent_ledger")

_WAIT_S = 15.0  # for all notifiers together
_TAKEN_S = 300  # after which somebody else may try what a process took and did not finish
_PAUSE_S = 60  # after the first failure; twice as long after the next one, …
_LONGEST_PAUSE_S = 3600
_LONGEST_ASKED_S = 86_400  # whatever the receiver asks for
_MOST_ATTEMPTS = 24  # about a day
_AT_ONCE = 50  # messages of one notifier

_TAKE = """
update notification set attempts = attempts + 1, due_at = :until
where event_id = :event_id and notifier = :notifier and due_at <= :now
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one message. `error` None: it was delivered."""

    event_id: int
    notifier: str
    error: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Due:
    event_id: int
    notifier: str
    message: Message


def note(connection: sqlite3.Connection, event_id: int, notifiers: Iterable[str], now: str) -> None:
    """Let these notifiers be told of an event, from now on. The caller holds the transaction that writes it."""
    connection.executemany(
        "insert or ignore into notification (event_id, notifier, due_at) values (?, ?, ?)",
        [(event_id, name, now) for name in notifiers],
    )


def deliver(writer: Writer, notifiers: Mapping[str, Notifier], now: str, *, wait_s: float = _WAIT_S) -> list[Told]:
    """Deliver what is due, each notifier in a thread of its own, and return when all are done or `wait_s` is over.

    What has failed by then is due again later; what failed too often is given up, with an error in the log. Raises
    LedgerError where the file can't be written.
    """
    due = _taken(writer, notifiers, now)
    told: list[Told] = []
    for answer in _answers(due, notifiers, wait_s):
        _keep(writer, answer, now)
        told.append(answer)
    return told


def _taken(writer: Writer, notifiers: Mapping[str, Notifier], now: str) -> list[_Due]:
    """The messages that this process is to deliver, by notifier, the oldest first."""
    with writer.transaction() as connection:
        rows = connection.execute(
            "select event_id, notifier, row_number() over (partition by notifier order by event_id) from notification"
            " where due_at <= ? order by notifier, event_id",
            [now],
        ).fetchall()
        due = [
            _Due(event_id, name, message(connection, event_id))
            for event_id, name, place in rows
            if name in notifiers and place <= _AT_ONCE
        ]
        connection.executemany(
            _TAKE,
            [
                {"event_id": one.event_id, "notifier": one.notifier, "now": now, "until": _later(now, _TAKEN_S)}
                for one in due
            ],
        )
    return due


def _answers(due: Sequence[_Due], notifiers: Mapping[str, Notifier], wait_s: float) -> Iterable[Told]:
    """What becomes of each message, as soon as that is known."""
    told: queue.SimpleQueue[Told] = queue.SimpleQueue()
    waiting = {(one.event_id, one.notifier) for one in due}
    for name, some in groupby(due, attrgetter("notifier")):
        # A daemon, because a notifier of somebody else's may hang for ever.
        threading.Thread(target=_tell, args=(notifiers[name], list(some), told), daemon=True).start()
    deadline = time.monotonic() + wait_s
    while waiting:
        try:
            answer = told.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        waiting.discard((answer.event_id, answer.notifier))
        yield answer
    for event_id, name in sorted(waiting):
        yield Told(event_id, name, f"not done within {wait_s:g} seconds")


def _tell(notifier: Notifier, due: Sequence[_Due], told: queue.SimpleQueue[Told]) -> None:
    """One after the other. Where the receiver asks to be left alone, the rest waits too."""
    asked: Told | None = None
    for one in due:
        answer = _told(notifier, one) if asked is None else replace(asked, event_id=one.event_id)
        asked = answer if answer.retry_after_s else None
        told.put(answer)


def _told(notifier: Notifier, one: _Due) -> Told:
    try:
        notifier.notify(one.message)
    except NotificationFailed as error:
        return Told(one.event_id, one.notifier, str(error), error.retry_after_s)
    except Exception as error:  # somebody else's code; its text may hold an address
        return Told(one.event_id, one.notifier, f"the notifier failed ({type(error).__name__})")
    return Told(one.event_id, one.notifier)


def _keep(writer: Writer, answer: Told, now: str) -> None:
    key = [answer.event_id, answer.notifier]
    with writer.transaction() as connection:
        if answer.error is None:
            connection.execute(
                "update notification set delivered_at = ?, due_at = null, error = null"
                " where event_id = ? and notifier = ?",
                [now, *key],
            )
            return
        [attempts] = connection.execute(
            "select attempts from notification where event_id = ? and notifier = ?", key
        ).fetchone()
        pause = min(_PAUSE_S * 2 ** (attempts - 1), _LONGEST_PAUSE_S)
        due_at = (
            None
            if attempts >= _MOST_ATTEMPTS
            else _later(now, max(pause, min(answer.retry_after_s or 0, _LONGEST_ASKED_S)))
        )
        connection.execute(
            "update notification set due_at = ?, error = ? where event_id = ? and notifier = ?",
            [due_at, answer.error, *key],
        )
    if due_at is None:
        _log.error("%s could not be told of event %s, and is not tried again: %s", key[1], key[0], answer.error)
    else:
        _log.warning("%s could not be told of event %s: %s; tried again after %s", key[1], key[0], answer.error, due_at)


def _later(now: str, seconds: float) -> str:
    return clock.timestamp(datetime.fromisoformat(now) + timedelta(seconds=seconds))
