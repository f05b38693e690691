"""The runner: it goes on, whatever happens to the ledger."""

from __future__ import annotations

import logging
import threading
import time

import pytest
from closed_loop import Company, day
from support import raw

from agent_ledger import InvalidRecord, Ledger
from agent_ledger.control.loop import Loop

pytestmark = pytest.mark.usefixtures("no_sources")


def test_it_survives_a_locked_ledger_and_ticks_when_that_is_over(
    ledger: Ledger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_ledger.control.loop._LOCKED_PAUSE_S", 0.05)
    company = Company(ledger)
    company.budget(period="month", limit="0.01")
    company.history(day(2), every=day(2) - day(1))
    ledger._writer.live().execute("pragma busy_timeout = 10")
    stop = threading.Event()
    with caplog.at_level(logging.WARNING), raw(ledger) as other:
        other.execute("begin immediate")
        runner = threading.Thread(target=ledger.loop.run, args=(0.05, stop))
        runner.start()
        deadline = time.monotonic() + 60
        while "could not tick" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)
        other.execute("rollback")
        while not ledger.rows("directive_in_force") and time.monotonic() < deadline:
            time.sleep(0.05)
    stop.set()
    runner.join(timeout=60)
    assert not runner.is_alive()
    assert "could not tick" in caplog.text
    assert len(ledger.rows("directive_in_force")) == 1
    assert ledger.rows("loop_lease") == []
    company.close()


def test_a_second_runner_waits_and_then_takes_over(ledger: Ledger) -> None:
    first, second = Loop(ledger._writer), Loop(ledger._writer)
    assert first._take("2026-11-14T12:00:00.000Z", 120) is None
    assert second.tick(now="2026-11-14T12:00:01Z").held_by == first._holder
    first._give_back()
    assert second.tick(now="2026-11-14T12:00:02Z").held_by is None


def test_a_time_that_is_none(ledger: Ledger) -> None:
    with pytest.raises(InvalidRecord, match="now is 'soon'"):
        ledger.loop.tick(now="soon")


def test_it_can_be_asked_from_other_threads(ledger: Ledger) -> None:
    ticks = []
    ledger.loop.tick()
    for _ in range(2):
        thread = threading.Thread(target=lambda: ticks.append(ledger.loop.tick()))
        thread.start()
        thread.join()
    assert [tick.held_by for tick in ticks] == [None, None]
