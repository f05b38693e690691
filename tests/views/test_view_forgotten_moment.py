from __future__ import annotations

from typing import Any

import pytest
from support import call, query

from agent_ledger import Ledger, compacting
from agent_ledger.schema import open_for_writing

pytestmark = pytest.mark.usefixtures("no_sources")

HOURS = [f"2026-01-15T{hour:02}:30:00.000Z" for hour in range(8, 13)]


@pytest.fixture
def compacted(ledger: Ledger) -> Ledger:
    """Five calls, an hour apart, and a sixth of the first hour."""
    ledger.record_calls(
        [
            *(call(request_id=str(n), evidence="log", ts=ts) for n, ts in enumerate(HOURS)),
            call(request_id="same hour", ts="2026-01-15T08:45:00.000Z"),
        ]
    )
    compact(ledger)
    return ledger


def compact(ledger: Ledger) -> None:
    connection = open_for_writing(ledger.path, synchronous="off")
    compacting.compact(connection)
    connection.close()


def moments(ledger: Ledger) -> list[tuple[Any, ...]]:
    return query(ledger, "select min(first_ts), max(last_ts) from forgotten_moment")


def spans(ledger: Ledger) -> set[tuple[Any, ...]]:
    """What the views make of it."""
    of = "select first_ts, last_ts from"
    return {*query(ledger, f"{of} coverage"), *query(ledger, f"{of} unpriced_calls")}


def test_as_long_as_nothing_is_forgotten_there_is_nothing_to_say(compacted: Ledger) -> None:
    assert query(compacted, "select * from forgotten_moment") == []
    assert spans(compacted) == {(HOURS[0], HOURS[-1])}


def test_the_first_call_no_longer_counts(compacted: Ledger) -> None:
    better = {"response_id": "x" * 20, "ts": HOURS[2], "prompt_tokens": 101}
    compacted.record_call(**call(request_id="0", **better))
    assert moments(compacted) == [("2026-01-15T08:45:00.000Z", HOURS[-1])]
    assert spans(compacted) == {("2026-01-15T08:45:00.000Z", HOURS[-1])}
    compact(compacted)
    assert query(compacted, "select * from forgotten_moment") == []
    assert spans(compacted) == {("2026-01-15T08:45:00.000Z", HOURS[-1])}


def test_the_last_call_no_longer_counts_and_was_alone_in_its_hour(compacted: Ledger) -> None:
    compacted.record_call(**call(request_id="4", response_id="x" * 20, ts=HOURS[1], prompt_tokens=101))
    assert spans(compacted) == {(HOURS[0], HOURS[-2])}
    compact(compacted)
    assert spans(compacted) == {(HOURS[0], HOURS[-2])}
