"""The time that a page is about."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from datasette_agent_ledger import picking, showing

TODAY = date(2026, 3, 10)


def test_this_month_unless_the_ledger_ends_earlier() -> None:
    assert picking.period({}, "2026-03-09T10:00:00.000Z", today=TODAY).title == "March 2026"
    assert picking.period({}, "2026-01-31T23:30:00.000Z", today=TODAY).title == "January 2026"
    assert picking.period({"tz": "Europe/Berlin"}, "2026-01-31T23:30:00.000Z", today=TODAY).title == "February 2026"
    assert picking.period({}, None, today=TODAY).title == "March 2026"
    assert picking.period({}, "2027-01-01T00:00:00.000Z", today=TODAY).title == "March 2026", "a clock that is wrong"


def test_a_month_is_one_sum_and_its_days_are_days() -> None:
    month = picking.period({"period": "2026-01"}, None, today=TODAY)
    assert month.sums() | {"calendar": ""} == month.sums() | {
        "since": "2026-01", "until": "2026-02", "before": "2025-12", "grain": "month", "calendar": "",
    }  # fmt: skip
    bounds = month.bounds()
    assert (bounds["since"], bounds["until"], bounds["before"]) == ("2026-01-01", "2026-02-01", "2025-12-01")
    assert len(month.days()) == 31


def test_days_of_a_zone_begin_at_utc_hours() -> None:
    found = picking.period({"period": "2026-03", "tz": "Europe/Berlin"}, None, today=TODAY).bounds()
    assert (found["since"], found["until"], found["grain"]) == ("2026-02-28T23", "2026-03-31T22", "hour")
    assert '"2026-03-29T22":"2026-03-30"' in found["calendar"]


@pytest.mark.parametrize(("choice", "first", "before"), [("7d", 4, date(2026, 2, 25)), ("30d", 9, date(2026, 1, 10))])
def test_the_last_days_end_today(choice: str, first: int, before: date) -> None:
    found = picking.period({"period": choice}, None, today=TODAY)
    assert (found.first.day, found.last, found.before) == (first, TODAY, before)
    assert found.query() == {"period": choice, "since": None, "until": None, "tz": None}


def test_custom_days_have_as_many_before_them() -> None:
    found = picking.period({"period": "custom", "since": "2026-02-01", "until": "2026-02-10"}, None, today=TODAY)
    assert found.before == date(2026, 1, 22)
    assert found.title_before == "the 10 days before"
    assert picking.period(found.query(), None, today=TODAY) == found  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{"period": "2026-01"}, {"period": "30d"}, {"period": "2025-03"}])
def test_the_period_before_is_the_one_that_is_compared_with(given: dict[str, str]) -> None:
    found = picking.period(given, None, today=TODAY)
    earlier = found.earlier()
    assert (earlier.first, earlier.last) == (found.before, found.first - timedelta(days=1))
    again = picking.period({name: value for name, value in earlier.query().items() if value}, None, today=TODAY)
    assert again == earlier


def test_months_to_choose_from() -> None:
    assert picking.months("2025-12-31T00:00:00.000Z", "2026-02-01T00:00:00.000Z") == ["2026-02", "2026-01", "2025-12"]
    assert picking.months(None, None) == []
    assert picking.zones()[0] == "UTC"


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("cost_usd", 17343.926, "17,343.93"), ("cost_usd", None, "–"), ("cost_usd", 0, "0.00"),
        ("cost_usd", -3, "\N{MINUS SIGN}3.00"), ("cost_usd", 0.000001, "0.000001"), ("calls", 12345, "12,345"),
        ("share", 0.125, "12.5%"),
        ("input_usd_mtok", 2.5, "2.5"), ("id", 12345, "12345"), ("model", "m", "m"),
    ],
)  # fmt: skip
def test_values_as_text(column: str, value: object, text: str) -> None:
    assert showing.text(column, value) == text


def test_small_amounts_of_a_column_have_more_digits() -> None:
    assert showing.digits([0.5, None]) == 4
    assert showing.digits([0.5, 12]) == 2
    assert showing.digits([None]) == 2
