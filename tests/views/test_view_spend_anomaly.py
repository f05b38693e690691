from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median

import pytest
from support import price, raw

from agent_ledger import Ledger
from agent_ledger.control import asking

pytestmark = pytest.mark.usefixtures("no_sources")
TODAY = datetime(2026, 11, 25, tzinfo=UTC)  # a Wednesday


def spend(ledger: Ledger, agent: str, *dollars: float) -> None:
    """So much today, a week ago, two weeks ago, …"""
    ledger.set_prices([price(input=1_000_000)])
    ledger.record_calls(
        {
            "agent_id": agent,
            "request_id": f"{agent} {weeks}",
            "model": "m",
            "prompt_tokens": int(amount * 10**6),
            "completion_tokens": 0,
            "ts": TODAY - timedelta(weeks=weeks) + timedelta(hours=9),
        }
        for weeks, amount in enumerate(dollars)
    )


def rows(ledger: Ledger) -> dict[str, dict[str, float]]:
    with raw(ledger) as connection:
        found = asking.rows(connection, "spend_anomaly", "2026-11-25T10:00:00.000Z")
    return {row["agent_id"]: row for row in found}


@pytest.mark.parametrize("compacted", [False, True])
def test_more_than_the_median_and_its_deviation_is_unusual(ledger: Ledger, compacted: bool) -> None:
    wednesdays = [10, 12, 9, 11, 10, 14, 10, 400]  # one odd day among them changes little
    spend(ledger, "usual", 20, *wednesdays)
    spend(ledger, "unusual", 22, *wednesdays)
    spend(ledger, "steady", 15, *[5] * 8)
    spend(ledger, "cheap", 0.9, *[0.1] * 8)
    spend(ledger, "new", 50, 1, 1, 1)
    spend(ledger, "elsewhere", 0, 5)
    if compacted:
        ledger.compact()
    found = rows(ledger)
    middle = median(wednesdays)
    deviation = median(abs(one - middle) for one in wednesdays)
    for agent in ("usual", "unusual"):
        row = found[agent]
        assert (row["spent_usd"], row["median_usd"]) == (20 if agent == "usual" else 22, middle)
        assert row["deviation_usd"] == deviation
        assert row["threshold_usd"] == max(2 * middle, middle + 5 * 1.4826 * deviation)
    assert {agent for agent, row in found.items() if row["is_unusual"]} == {"unusual", "steady"}
    assert found["cheap"]["threshold_usd"] == 1
    assert (found["new"]["days"], found["new"]["threshold_usd"]) == (3, None)


def test_other_weekdays_do_not_count(ledger: Ledger) -> None:
    spend(ledger, "a", 30, *[30] * 8)
    ledger.record_calls(
        {"agent_id": "a", "request_id": f"sunday {days}", "model": "m", "prompt_tokens": 1, "completion_tokens": 0,
         "ts": TODAY - timedelta(days=days)} for days in (3, 10, 17, 24)
    )  # fmt: skip
    assert rows(ledger)["a"]["median_usd"] == 30
