"""Messages about control events: delivered once, tried again later, never waited for long, no secret in the file."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from directed import direct, throttle
from replay import Answer, Replay
from support import exit_code, query, raw, start_child

from agent_ledger import Ledger, clock, plugins
from agent_ledger.connection import Writer
from agent_ledger.control import notify
from agent_ledger.control.messages import message
from agent_ledger.control.notifiers.slack import ADDRESS, Slack
from agent_ledger.control.notify import Told, deliver
from agent_ledger.errors import NotificationFailed
from agent_ledger.hookspecs import Message

SECRET = "T00-s3cr3t-B11"
NOW = "2026-01-14T10:00:00.000Z"


def later(minutes: float) -> str:
    return clock.timestamp(datetime.fromisoformat(NOW) + timedelta(minutes=minutes))


class Listener:
    """A notifier that does what it is told."""

    def __init__(self, name: str = "listener", *errors: Exception | None, delay: float = 0) -> None:
        self.name, self.errors, self.delay = name, list(errors), delay
        self.heard: list[Message] = []

    def notify(self, message: Message) -> None:
        time.sleep(self.delay)
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.heard.append(message)


@pytest.fixture
def writer(ledger: Ledger) -> Iterator[Writer]:
    opened = Writer(ledger.path, synchronous="normal")
    yield opened
    opened.close()


def acted(ledger: Ledger, *names: str) -> int:
    """A directive and the act that follows from its decision, of which these notifiers are to tell."""
    throttle(ledger, {"claude-sonnet-*": "claude-haiku-4-5"})
    with raw(ledger) as connection:
        [decided] = connection.execute("select max(id) from control_event").fetchone()
        event = connection.execute(
            "insert into control_event (ts, phase, scope, key, budget, cause, verdict, detail, once)"
            """ values (?, 'act', 'agent', 'scraper', 'scraping', ?, 'throttled', '{"text": "now on haiku"}', ?)""",
            [NOW, decided, clock.sortable_id()],
        ).lastrowid
        assert event
        notify.note(connection, event, names, NOW)
        notify.note(connection, event, names, later(1))  # noting it twice changes nothing
    return event


def state(ledger: Ledger) -> list[tuple[object, ...]]:
    return query(
        ledger, "select notifier, attempts, due_at, delivered_at, error from notification order by 1, event_id"
    )


def test_a_message_says_who_how_much_what_until_when_and_what_to_do(ledger: Ledger) -> None:
    ledger.assign("scraper", team="data", owner="mia@example.com", valid_from="2026-01-01")
    event = acted(ledger)
    with raw(ledger) as connection:
        told = message(connection, event)
    assert told.title == "agent scraper: throttled (budget scraping)"
    assert told.text.splitlines() == [
        "120 of 100 USD",
        "120 of 100 USD",
        "now on haiku",
        "This holds until 2999-01-01T00:00:00.000Z, or until it is lifted.",
        "Owner: mia@example.com, team: data",
        "To let it go on: agent-ledger budget ledger.db except scraping --until DATE --by NAME",
    ]
    assert told.id == f"{event}-{NOW}"
    assert [one["phase"] for one in told.data["chain"]] == ["detect", "decide", "act"]
    assert {"owner": "mia@example.com", "until": "2999-01-01T00:00:00.000Z"}.items() <= told.data.items()
    assert told.data["throttle_to"] == {"claude-sonnet-*": "claude-haiku-4-5"}


@pytest.mark.parametrize(
    ("scope", "key", "whose"), [("team", "data", "team data"), ("everything", "(everything)", "everything")]
)
def test_a_message_about_others_than_agents(ledger: Ledger, scope: str, key: str, whose: str) -> None:
    direct(ledger, "block", scope=scope, key=key)
    with raw(ledger) as connection:
        told = message(connection, 2)
    assert told.title == f"{whose}: block (budget scraping)"
    assert ("Owner: nobody, team: data" in told.text) is (scope == "team")


def test_each_event_is_told_once(ledger: Ledger, writer: Writer) -> None:
    one, other = Listener("one"), Listener("other")
    events = [acted(ledger, "one", "other"), acted(ledger, "one")]
    told = deliver(writer, {"one": one, "other": other}, later(1))
    assert sorted(told, key=lambda answer: (answer.notifier, answer.event_id)) == [
        Told(events[0], "one"), Told(events[1], "one"), Told(events[0], "other")
    ]  # fmt: skip
    assert [heard.data["event_id"] for heard in one.heard] == events
    assert deliver(writer, {"one": one, "other": other}, later(2)) == []
    assert state(ledger) == [
        ("one", 1, None, later(1), None), ("one", 1, None, later(1), None), ("other", 1, None, later(1), None)
    ]  # fmt: skip


def test_one_that_fails_silences_no_other_and_is_tried_again_later_and_later(
    ledger: Ledger, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    failing = [NotificationFailed("the receiver answered HTTP 500"), RuntimeError(SECRET), None]
    sound, broken = Listener("sound"), Listener("broken", *failing)
    both = {"sound": sound, "broken": broken}
    acted(ledger, "sound", "broken")
    with caplog.at_level(logging.DEBUG):
        deliver(writer, both, NOW)
        assert state(ledger)[0] == ("broken", 1, later(1), None, "the receiver answered HTTP 500")
        assert deliver(writer, both, later(0.9)) == []
        deliver(writer, both, later(1))
        assert state(ledger)[0] == ("broken", 2, later(3), None, "the notifier failed (RuntimeError)")
        deliver(writer, both, later(3))
    assert (len(sound.heard), len(broken.heard)) == (1, 1)
    assert state(ledger)[0] == ("broken", 3, None, later(3), None)
    assert "broken could not be told of event 3: the receiver answered HTTP 500" in caplog.text
    assert SECRET not in caplog.text


def test_a_receiver_says_when_to_come_again_and_the_rest_waits_too(ledger: Ledger, writer: Writer) -> None:
    busy = Listener("busy", NotificationFailed("HTTP 429", retry_after_s=1800))
    for _ in range(2):
        acted(ledger, "busy")
    deliver(writer, {"busy": busy}, NOW)
    assert [row[1:3] for row in state(ledger)] == [(1, later(30))] * 2
    assert deliver(writer, {"busy": busy}, later(29)) == []
    assert len(deliver(writer, {"busy": busy}, later(30))) == len(busy.heard) == 2


def test_a_message_that_is_always_refused_holds_up_no_other(ledger: Ledger, writer: Writer) -> None:
    picky = Listener("picky", NotificationFailed("HTTP 400"))
    for _ in range(2):
        acted(ledger, "picky")
    assert [told.error for told in deliver(writer, {"picky": picky}, NOW)] == ["HTTP 400", None]


def test_it_is_given_up_in_the_end_and_the_log_says_so(
    ledger: Ledger, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    event, dead = acted(ledger, "dead"), Listener("dead", *[NotificationFailed("HTTP 500")] * 99)
    days = 0.0
    while deliver(writer, {"dead": dead}, later(days * 1440)):
        days += 0.05
    assert state(ledger) == [("dead", notify._MOST_ATTEMPTS, None, None, "HTTP 500")]
    assert f"dead could not be told of event {event}, and is not tried again: HTTP 500" in caplog.text


def test_one_that_hangs_is_not_waited_for(ledger: Ledger, writer: Writer) -> None:
    slow, quick = Listener("slow", delay=5), Listener("quick")
    acted(ledger, "slow", "quick")
    begun = time.monotonic()
    told = deliver(writer, {"slow": slow, "quick": quick}, NOW, wait_s=0.3)
    assert time.monotonic() - begun < 3
    assert {one.notifier: one.error for one in told} == {"quick": None, "slow": "not done within 0.3 seconds"}
    assert state(ledger)[1][:3] == ("slow", 1, later(1))


def test_who_has_no_address_now_is_told_when_there_is_one(ledger: Ledger, writer: Writer) -> None:
    acted(ledger, "slack")
    assert deliver(writer, {}, NOW) == []
    assert state(ledger) == [("slack", 0, NOW, None, None)]
    assert len(deliver(writer, {"slack": Listener("slack")}, later(5))) == 1


def test_two_that_deliver_at_once_tell_it_once(ledger: Ledger) -> None:
    listener = Listener("listener", delay=0.02)
    for _ in range(10):
        acted(ledger, "listener")

    def work() -> None:
        other = Writer(ledger.path, synchronous="normal")
        deliver(other, {"listener": listener}, later(1))
        other.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(listener.heard) == len({heard.id for heard in listener.heard}) == 10


def test_a_process_that_is_killed_while_it_delivers_has_the_message_for_five_minutes(
    ledger: Ledger, writer: Writer
) -> None:
    acted(ledger, "listener")

    def work() -> None:
        killing = Listener()
        killing.notify = lambda _: os._exit(9)  # type: ignore[method-assign]
        deliver(Writer(ledger.path, synchronous="normal"), {"listener": killing}, NOW)

    assert exit_code(start_child(work)) == 9
    listener = Listener()
    assert deliver(writer, {"listener": listener}, later(4.9)) == []
    assert len(deliver(writer, {"listener": listener}, later(5))) == len(listener.heard) == 1


# -- with Slack and its address in the environment --------------------------------------------------------------------


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Callable[[Replay], None]:
    return lambda server: monkeypatch.setenv(ADDRESS, f"{server.url}/services/{SECRET}")


def test_slack_is_down_and_comes_back_and_its_address_is_nowhere(
    ledger: Ledger, writer: Writer, slack: Callable[[Replay], None], caplog: pytest.LogCaptureFixture
) -> None:
    down = replace(Answer(b"no_service"), status=500)
    with Replay(down, Answer(b"ok")) as server, caplog.at_level(logging.DEBUG):
        slack(server)
        acted(ledger, *plugins.notifiers())
        assert [told.error for told in deliver(writer, plugins.notifiers(), NOW)] == ["the receiver answered HTTP 500"]
        assert [told.error for told in deliver(writer, plugins.notifiers(), later(1))] == [None]
        assert deliver(writer, plugins.notifiers(), later(99)) == []
    assert len(server.requests) == 2
    assert "agent scraper: throttled" in server.requests[1].json["text"]
    _nowhere(ledger.path, caplog)


def test_nobody_listens_where_slack_was(
    ledger: Ledger, writer: Writer, slack: Callable[[Replay], None], caplog: pytest.LogCaptureFixture
) -> None:
    with Replay(Answer(b"ok")) as server:
        slack(server)
    acted(ledger, *plugins.notifiers())
    with caplog.at_level(logging.DEBUG):
        assert [told.error for told in deliver(writer, plugins.notifiers(), NOW)] == [
            "the receiver refuses connections"
        ]
    _nowhere(ledger.path, caplog)


def _nowhere(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert SECRET not in caplog.text
    with sqlite3.connect(path) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    assert SECRET.encode() not in path.read_bytes()


def test_an_object_shows_no_address() -> None:
    assert SECRET not in repr(Slack(SECRET))
