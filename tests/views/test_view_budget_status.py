"""What is told of a budget: its state, and a forecast with how sure that is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support import price, raw

from agent_ledger import Ledger, clock
from agent_ledger.control import asking, budgets

pytestmark = pytest.mark.usefixtures("no_sources")
DAY = timedelta(days=1)


def spend(ledger: Ledger, *days: float, start: datetime, model: str = "m") -> None:
    """So many dollars on each day from `start` on, at noon."""
    ledger.set_prices([price(input=1_000_000)])
    ledger.record_calls(
        {
            "agent_id": "a",
            "request_id": f"{model} {number}",
            "model": model,
            "prompt_tokens": int(dollars * 10**6),
            "completion_tokens": 0,
            "ts": start + number * DAY + DAY / 2,
        }
        for number, dollars in enumerate(days)
    )


def status(ledger: Ledger, now: datetime, **budget: Any) -> dict[str, Any]:
    options = {"period": "month", "limit": 100, "valid_from": "2026-01-01", **budget}
    with raw(ledger) as connection:
        budgets.set_budget(connection, "agent", "a", now=clock.timestamp(now), **options)
        [row] = asking.rows(connection, "budget_status", clock.timestamp(now))
    return row


def november(day: float) -> datetime:
    return datetime(2026, 11, 1, tzinfo=UTC) + (day - 1) * DAY


@pytest.mark.parametrize(
    ("dollars", "changes", "state", "reached"),
    [
        (0, {}, "ok", None),
        (49, {}, "ok", None),
        (50, {}, "warning", 50),
        (79.999999, {}, "warning", 50),
        (80, {}, "warning", 80),
        (99.999999, {}, "warning", 80),
        (100, {}, "exceeded", 100),
        (100, {"steps": [25]}, "exceeded", 100),
        (25, {"steps": [25]}, "warning", 25),
        (119, {"hard_percent": 120}, "exceeded", 100),
        (120, {"hard_percent": 120}, "over the hard cap", 120),
        (100, {"limit": None, "tokens": 100_000_001}, "warning", 80),
        (100, {"limit": None, "tokens": 100_000_000}, "exceeded", 100),
        (1, {"currency": "GBP"}, "incomplete", None),
    ],
)
def test_states_at_the_very_step(
    ledger: Ledger, dollars: float, changes: dict[str, Any], state: str, reached: int | None
) -> None:
    spend(ledger, dollars, start=november(30))  # on the last day, so that there is nothing to come
    row = status(ledger, november(31) - timedelta(milliseconds=1), **changes)
    assert (row["state"], row["reached_percent"]) == (state, reached)


def test_steps_are_exact_where_doubles_are_not(ledger: Ledger) -> None:
    """80 % of $70.0007 is $56.00056, to the pico-dollar."""
    spend(ledger, start=november(1))
    ledger.record_call(
        agent_id="b", request_id="x", model="m", prompt_tokens=56_000_560, completion_tokens=0, ts=november(2)
    )
    with raw(ledger) as connection:
        now = clock.timestamp(november(3))
        budgets.set_budget(connection, "agent", "b", now=now, period="month", limit="70.0007")
        [row] = asking.rows(connection, "budget_status", now)
    assert row["spent_usd"] == 56.00056
    assert row["reached_percent"] == 80


def test_what_is_not_known_is_incomplete_and_never_ok(ledger: Ledger) -> None:
    spend(ledger, 1, start=november(1))
    spend(ledger, 1, start=november(1), model="unknown")
    row = status(ledger, november(2))
    assert (row["state"], row["unknown_calls"], row["spent_usd"]) == ("incomplete", 1, 1.0)
    only = status(ledger, november(2), valid_from="2026-11-02", limit=1)
    assert only["state"] == "exceeded"


def test_nothing_known_at_all_is_null(ledger: Ledger) -> None:
    spend(ledger, 1, start=november(1), model="unknown")
    row = status(ledger, november(2))
    assert (row["spent_usd"], row["used_share"], row["forecast_usd"], row["state"]) == (None, None, None, "incomplete")


def test_weekdays_are_told_apart_where_there_are_two_weeks(ledger: Ledger) -> None:
    """$10 on each working day and nothing at the weekend: 21 working days in November 2026 are $210."""
    start = november(1) - 30 * DAY  # Friday, October 2nd
    days = [10 if (start + number * DAY).weekday() < 5 else 0 for number in range(43)]
    spend(ledger, *days, start=start)
    row = status(ledger, november(14), limit=209)
    assert row["spent_usd"] == 100
    assert row["forecast_method"] == "weekdays"
    assert row["forecast_usd"] == pytest.approx(210)
    assert (row["forecast_low_usd"], row["forecast_high_usd"]) == pytest.approx((210, 210))
    assert (row["certainty"], row["state"], row["forecast_days"]) == ("high", "forecast over", 35)
    assert status(ledger, november(14), limit=211)["state"] == "ok"


def test_with_less_history_all_days_are_alike(ledger: Ledger) -> None:
    spend(ledger, 4, 6, 5, 5, 5, start=november(1))
    row = status(ledger, november(6))
    assert (row["forecast_method"], row["forecast_days"], row["spent_usd"]) == ("days", 5, 25)
    assert row["forecast_usd"] == pytest.approx(150)
    assert row["forecast_low_usd"] <= row["forecast_usd"] <= row["forecast_high_usd"]


def test_without_a_whole_day_the_rate_goes_on(ledger: Ledger) -> None:
    spend(ledger, 2, start=november(1))
    row = status(ledger, november(1.75))
    assert (row["forecast_method"], row["certainty"], row["forecast_low_usd"]) == ("rate", "low", None)
    assert row["forecast_usd"] == pytest.approx(2 / 0.75 * 30)


@pytest.mark.parametrize(("hours", "is_told"), [(1, False), (14.9, False), (15.1, True)])
def test_the_first_hours_of_a_month_tell_nothing_of_its_end(ledger: Ledger, hours: float, is_told: bool) -> None:
    spend(ledger, 2, start=november(1))
    row = status(ledger, november(1 + hours / 24))
    assert (row["forecast_usd"] is not None) == is_told
    assert (row["state"] == "forecast over") == (is_told and row["forecast_usd"] > row["limit_usd"])


def test_one_odd_day_does_not_make_a_forecast(ledger: Ledger) -> None:
    days = [1.0] * 35
    days[10] = 500
    spend(ledger, *days, start=november(10) - 35 * DAY)
    row = status(ledger, november(10))
    assert row["forecast_usd"] == pytest.approx(30)


def test_a_window_that_moved_on_is_empty(ledger: Ledger) -> None:
    spend(ledger, 99, start=november(30))
    assert status(ledger, november(30.9))["spent_usd"] == 99
    row = status(ledger, november(31))
    assert (row["window"], row["spent_usd"], row["state"]) == ("2026-12", 0, "ok")
