"""The story that the README tells, and what may come between: an agent that overruns its budget on day 14."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from closed_loop import AGENT, HAIKU, SONNET, Company, chain, day, directives, events
from replay import Answer, Replay
from support import query, raw

from agent_ledger import Ledger, clock
from agent_ledger.control.notifiers import slack

HOUR = timedelta(hours=1)
MINUTES = timedelta(minutes=5)


@pytest.fixture
def company(ledger: Ledger, no_sources: None) -> Iterator[Company]:  # noqa: ARG001
    at_work = Company(ledger)
    yield at_work
    at_work.close()


@pytest.fixture(autouse=True)
def nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever addresses the environment of the tests has."""
    for name in ("SLACK_WEBHOOK_URL", "WEBHOOK_URL", "APPRISE_URLS"):
        monkeypatch.delenv(f"AGENT_LEDGER_{name}", raising=False)


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replay]:
    """What stands for Slack."""
    with Replay(lambda _: Answer(b"ok")) as server:
        monkeypatch.setenv(slack.ADDRESS, f"{server.url}/services/T0/B0/x")
        yield server


QUARTER = timedelta(minutes=15)


def breach(company: Company, **changes: object) -> str:
    """Three cents each quarter of an hour, and a limit that is passed on the 14th. Ticks each 5 minutes on that day."""
    name = company.budget(**changes)
    for number in (5, 8, 12, 14):
        company.history(day(number), every=QUARTER)
        company.tick()
    company.work(day(14.25), every=QUARTER, tick=MINUTES)
    return name


def test_an_agent_that_overruns_its_budget_on_day_14_is_throttled_and_that_is_proven(
    company: Company, channel: Replay
) -> None:
    ledger = company.ledger
    breach(company)

    [directive] = ledger.rows("directive_in_force")
    assert directive["valid_from"].startswith("2026-11-14T")
    assert (directive["action"], directive["scope"], directive["key"]) == ("throttle", "agent", AGENT)
    assert directive["valid_until"] == "2026-12-01T00:00:00.000Z"
    assert {row["model"] for row in ledger.rows("ledger") if row["ts"] > directive["valid_from"]} == {HAIKU}
    texts = [request.json["text"] for request in channel.requests]
    assert len(texts) == len(set(texts)) == 4  # the forecast, 50, 80 and 100 percent
    assert AGENT in texts[-1]
    assert "throttled" in texts[-1]

    company.work(day(14.5), every=QUARTER, tick=MINUTES)
    status = company.status()
    assert (status["state"], status["directive"], status["verdict"]) == ("exceeded", "throttle", "worked")
    [verified] = [row for row in ledger.rows("control_event", phase="verify") if "saving_usd" in row["detail"]]
    story = chain(ledger, verified["id"])
    assert [(one["phase"], one["verdict"]) for one in story] == [
        ("detect", "exceeded"), ("decide", "throttle"), ("act", "throttled"), ("verify", "worked"),
    ]  # fmt: skip
    numbers = story[-1]["detail"]
    assert numbers["calls"] == 20  # the first tick that has enough samples
    # Each of them costs a cent, and would have cost three.
    assert numbers["spent_usd"] == pytest.approx(0.20)
    assert numbers["original_model_usd"] == pytest.approx(0.60)
    assert numbers["original_models"] == {HAIKU: SONNET}
    assert numbers["saving_usd"] == status["saving_usd"] == pytest.approx(0.40)
    assert numbers["after_usd_per_hour"] == pytest.approx(numbers["before_usd_per_hour"] / 3, rel=0.1)

    company.set_clock(day(31.1))
    company.tick()
    assert directives(ledger) == [("throttle", None), ("lift", 1)]
    assert events(ledger)[-3:] == [("detect", "rolled"), ("decide", "lift"), ("act", "lifted")]
    company.tick()
    assert events(ledger)[-1] == ("verify", "worked")
    assert ledger.decide(AGENT, SONNET).model == SONNET


def test_nothing_happens_while_an_exception_holds_and_that_is_recorded(company: Company) -> None:
    name = company.budget()
    company.history(day(10), every=QUARTER)
    company.tick()
    company.grant(name, day(20), reason="an audit")
    company.history(day(16), every=QUARTER)
    company.tick()
    assert company.status()["state"] == "exceeded"
    assert company.status()["exception_by"] == "ana@example.com"
    assert directives(company.ledger) == []
    [(text,)] = query(
        company.ledger,
        "select json_extract(decided.detail, '$.text') from control_event as decided"
        " join control_event as found on found.id = decided.cause where found.verdict = 'exceeded'",
    )
    assert text == "nothing: ana@example.com granted an exception until 2026-11-20T00:00:00.000Z (an audit)"

    company.work(day(20.5), every=HOUR, tick=HOUR * 6)  # it is over, and so is the budget
    assert directives(company.ledger) == [("throttle", None)]


def test_an_exception_that_is_granted_later_lifts_the_directive(company: Company) -> None:
    name = breach(company)
    company.grant(name, day(16))
    assert company.ledger.decide(AGENT, SONNET).model == SONNET  # before the loop knows
    company.tick()
    assert directives(company.ledger) == [("throttle", None), ("lift", 1)]
    assert ("detect", "exception") in events(company.ledger)
    company.set_clock(day(16.1))
    company.tick()
    assert [action for action, _ in directives(company.ledger)] == ["throttle", "lift", "throttle"]


def test_a_budget_that_is_raised_lifts_the_directive(company: Company) -> None:
    breach(company)
    with raw(company.ledger) as connection:
        connection.execute(
            "insert into budget (name, event, valid_from, scope, key, period, zone, basis, limit_micros, currency,"
            " on_breach) select name, event, ?, scope, key, period, zone, basis, 10 * limit_micros, currency, 'block'"
            " from budget",
            [clock.timestamp(company.now)],
        )
    company.tick()
    assert directives(company.ledger) == [("throttle", None), ("lift", 1)]
    assert ("detect", "fell") in events(company.ledger)


def test_a_throttle_that_nobody_obeys_did_not_work_and_becomes_a_block(company: Company) -> None:
    breach(company)
    company.work(day(14) + HOUR * 10, every=QUARTER, obeys=False, tick=MINUTES)
    ledger = company.ledger
    assert directives(ledger) == [("throttle", None), ("block", 1)]
    [block] = ledger.rows("directive_in_force")
    story = chain(ledger, block["event_id"])
    assert [(one["phase"], one["verdict"]) for one in story] == [
        ("detect", "exceeded"), ("decide", "throttle"), ("act", "throttled"),
        ("verify", "did not work"), ("decide", "block"),
    ]  # fmt: skip
    assert "not obeyed" in story[-1]["detail"]["text"]

    refused = company.refused
    company.work(day(15), every=QUARTER, tick=MINUTES)
    assert company.refused > refused + 20  # by then it is obeyed
    assert company.status()["verdict"] == "worked"
    assert company.status()["saving_usd"] > 0


def test_a_block_that_nobody_obeys_is_told_and_nothing_more_can_be_done(company: Company) -> None:
    breach(company, on_breach="block", throttle_to=None)
    company.work(day(14.6), every=QUARTER, obeys=False, tick=MINUTES)
    assert directives(company.ledger) == [("block", None)]
    assert [one for one in events(company.ledger) if one[1] != "undecidable"][-3:] == [
        ("verify", "did not work"), ("decide", "notify"), ("act", "notified"),
    ]  # fmt: skip


def test_who_can_t_be_told_now_is_told_later_and_once(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    up = False
    with Replay(lambda _: Answer(b"ok") if up else Answer(b"down", status=503)) as server:
        monkeypatch.setenv(slack.ADDRESS, f"{server.url}/services/x")
        breach(company)  # goes on all the same
        assert company.ledger.rows("directive_in_force")
        acts = len(events(company.ledger, "act"))
        assert not any(row["delivered_at"] for row in company.ledger.rows("notification"))
        up, failed = True, len(server.requests)
        company.set_clock(company.now + HOUR * 2)
        company.tick()
        company.tick()
        assert len(server.requests) - failed == acts
    assert all(row["delivered_at"] for row in company.ledger.rows("notification"))
    assert events(company.ledger, "verify") == [("verify", "worked")] * (acts - 1)  # the throttle is judged by spend


def test_a_clock_that_is_moved_back_does_nothing_twice(company: Company) -> None:
    breach(company)
    seen = events(company.ledger, "detect", "act")
    for back in (HOUR, timedelta(days=1), timedelta(days=20)):
        company.set_clock(day(14.25) - back)
        company.tick()
        company.tick()
    company.set_clock(day(14.25))
    company.tick()
    assert events(company.ledger, "detect", "act") == seen
    assert directives(company.ledger) == [("throttle", None)]


def _tick_many(path: Path, barrier: object, answers: multiprocessing.Queue[int]) -> None:
    with Ledger(path) as ledger:
        barrier.wait()  # type: ignore[attr-defined]
        answers.put(sum(ledger.loop.tick().held_by is None for _ in range(15)))


def test_two_loops_at_once_do_everything_once(company: Company) -> None:
    company.budget()
    company.history(day(15), every=QUARTER)
    spawned = multiprocessing.get_context("spawn")
    barrier, answers = spawned.Barrier(3), spawned.Queue()
    loops = [spawned.Process(target=_tick_many, args=(company.ledger.path, barrier, answers)) for _ in range(3)]
    for process in loops:
        process.start()
    ticks = [answers.get(timeout=60) for _ in loops]
    for process in loops:
        process.join()
    assert sum(ticks) >= 15
    assert events(company.ledger)[:3] == [("detect", "exceeded"), ("decide", "throttle"), ("act", "throttled")]
    assert len(events(company.ledger, "act")) == 1
    assert directives(company.ledger) == [("throttle", None)]


def test_repeating_a_tick_adds_nothing(company: Company) -> None:
    breach(company)
    company.tick()
    before = query(company.ledger, "select * from control_event"), query(company.ledger, "select * from directive")
    tick = company.tick()
    assert (tick.events, tick.told) == (0, ())
    assert before == (
        query(company.ledger, "select * from control_event"),
        query(company.ledger, "select * from directive"),
    )


def test_a_dry_run_says_what_would_be_done_and_why_and_writes_nothing(company: Company) -> None:
    company.budget()
    company.history(day(15), every=QUARTER)
    tick = company.ledger.loop.tick(dry_run=True)
    [told] = tick.told
    assert told.startswith(f"agent {AGENT} has spent $40.32 of $38.00 (106%) in 2026-11")
    assert told.endswith("throttle, as the budget itself says")
    assert tick.events == 3
    for table in ("control_event", "directive", "loop_lease", "notification"):
        assert company.ledger.rows(table) == []


def test_totals_are_untouched(company: Company) -> None:
    breach(company)
    before = company.ledger.rows("cost_by_agent")
    company.tick()
    assert company.ledger.rows("cost_by_agent") == before
    assert json.loads(company.ledger.rows("control_event")[0]["detail"])["limit_usd"] == 38
