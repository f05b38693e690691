from __future__ import annotations

from decimal import Decimal

import pytest

from agent_ledger.errors import InvalidRecord
from agent_ledger.importers import cells


@pytest.mark.parametrize(
    ("value", "number"),
    [("4.4E-7", "4.4E-7"), (" 1.50 ", "1.50"), ("-3", "-3"), (0.1, "0.1"), (0.0, "0.0"), (Decimal("7.00"), "7.00")],
)
def test_a_number_keeps_its_digits(value, number):
    assert str(cells.number("n", value)) == number


@pytest.mark.parametrize(
    "value", ["x", "1,5", "1_000", "NaN", "Infinity", "1e999999999", "1e-99999", True, float("nan")]
)
def test_what_is_no_number(value):
    with pytest.raises(InvalidRecord, match="give a number such as"):
        cells.number("n", value)


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_cell_is_no_number_and_no_cost(value):
    assert cells.number("n", value) is None
    with pytest.raises(InvalidRecord, match="a line without a cost can't be counted"):
        cells.cost("n", value)


@pytest.mark.parametrize("value", ["", None, "usd", "US", "Token"])
def test_what_is_no_currency(value):
    with pytest.raises(InvalidRecord, match="give a currency such as USD"):
        cells.currency("c", value)


@pytest.mark.parametrize(
    "value", ["2026-10-01T00:00:00Z", "2026-10-01 00:00:00", "2026-10-01 00:00:00.000", "2026-10-01T02:00:00+02:00"]
)
def test_times_without_a_zone_are_utc(value):
    assert cells.moment("t", value) == "2026-10-01T00:00:00.000Z"


@pytest.mark.parametrize("value", ["10/1/26", "", None])
def test_what_is_no_time(value):
    with pytest.raises(InvalidRecord, match="t is "):
        cells.moment("t", value)


def test_a_period_is_never_empty():
    first, later = "2026-10-01T00:00:00.000Z", "2026-10-01T01:00:00.000Z"
    assert cells.period(first, later) == later
    assert cells.period(first, first) == "2026-10-01T00:00:00.001Z"
    with pytest.raises(InvalidRecord, match="it is before the start"):
        cells.period(later, first)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ('{"team": "risk", "empty": "", "none": null, "n": 3}', {"team": "risk", "n": "3"}),
        ([("team", "risk"), ("none", None)], {"team": "risk"}),
        ({"team": "risk", "none": None}, {"team": "risk"}),
        ("", {}),
        (None, {}),
        ("null", {}),
    ],
)
def test_tags(value, found):
    assert cells.tags("Tags", value) == found


@pytest.mark.parametrize("value", ["{team=risk}", "[1]", "3", "[" * 100_000])
def test_what_are_no_tags(value):
    with pytest.raises(InvalidRecord, match="give JSON such as"):
        cells.tags("Tags", value)
