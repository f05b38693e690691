"""Dividing an amount: it always adds up, and every part is the whole number next to its exact share."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import NOON

from agent_ledger.shares import SCALE, Line, ToolCall, metered, split, unclaimed, weighted

UNITS = {"requests": ("request", 1.0), "gb": ("byte", 2.0**30), "bytes": ("byte", 1.0), "tokens": ("token", 1.0)}


def line(picos: int = 1000, quantity: str | None = "10", unit: str | None = "Requests") -> Line:
    nothing: dict[str, Any] = dict.fromkeys(("account", "service", "resource_id", "operation", "usage_type"))
    return Line(1, picos, NOON, "2026-01-15T13:00:00.000Z", "aws", **nothing, quantity=quantity, unit=unit,
                category="usage", request_id=None)  # fmt: skip


def calls(*units: tuple[float | None, str | None], duration_ms: int | None = None) -> list[ToolCall]:
    return [ToolCall(number, NOON, None, *each, duration_ms, None) for number, each in enumerate(units)]


@given(st.integers(-(10**20), 10**20), st.lists(st.integers(0, 10**30), min_size=1, max_size=20))
def test_parts_add_up_and_are_next_to_their_exact_share(total: int, weights: list[int]) -> None:
    parts = split(total, weights)
    assert sum(parts) == total
    whole = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        exact = Fraction(total * weight, whole) if whole else Fraction(total, len(weights))
        assert abs(part - exact) < 1
    if whole and total > 0:  # the largest remainders get what is left
        more = [total * w % whole for w, part in zip(weights, parts, strict=True) if part * whole > total * w]
        less = [total * w % whole for w, part in zip(weights, parts, strict=True) if part * whole < total * w]
        assert not more or not less or min(more) >= max(less)


def test_the_earlier_of_equals_gets_more() -> None:
    assert split(5, [1, 1, 1]) == [2, 2, 1]
    assert split(-5, [1, 1, 1]) == [-2, -2, -1]
    assert split(5, [0, 0]) == [3, 2]
    assert split(1, [2, 1, 2]) == [1, 0, 0]


def test_metered_requests() -> None:
    taken = metered(line(1000, "10"), calls((None, None), (3, "requests"), (5e9, "bytes")), UNITS)
    assert taken is not None
    assert (taken.parts, taken.rest, taken.reason) == ([100, 300, 100], 500, "not all metered")
    assert taken.weights == [SCALE, 3 * SCALE, SCALE]


def test_more_was_metered_than_billed() -> None:
    taken = metered(line(1000, "2"), calls((None, None), (3, "requests")), UNITS)
    assert taken is not None
    assert (taken.parts, taken.rest, taken.reason) == ([250, 750], 0, None)


def test_metered_in_converted_units() -> None:
    taken = metered(line(-1000, "2", "GB"), calls((2**30, "bytes"), (0.5, "gb"), (9, "tokens"), (None, None)), UNITS)
    assert taken is not None
    assert (taken.parts, taken.rest) == ([-500, -250, 0, 0], -250)


def test_a_unit_that_nobody_knows_counts_itself() -> None:
    taken = metered(line(1000, "4", "ReadRequestUnits"), calls((1, "readrequestunits"), (1, "bytes")), UNITS)
    assert taken is not None
    assert (taken.parts, taken.rest) == ([250, 0], 750)


@pytest.mark.parametrize(
    ("quantity", "unit"),
    [(None, "Requests"), ("0", "Requests"), ("-1", "Requests"), ("1", None), ("1", "GB"), ("1", "x")],
)
def test_what_is_not_metered_in_what_calls_count(quantity: str | None, unit: str | None) -> None:
    assert metered(line(1000, quantity, unit), calls((1, "tokens"), (None, None)), UNITS) is None


def test_weights() -> None:
    same = calls((1, "tokens"), (3, "tokens"))
    assert weighted(line(), same, None).parts == [250, 750]
    assert weighted(line(), same, "calls").parts == [500, 500]
    mixed = calls((1, "tokens"), (3, "bytes"))
    assert weighted(line(), mixed, None).parts == [500, 500]
    assert weighted(line(), mixed, "units").parts == [250, 750]
    assert weighted(line(), calls((None, None), (None, None)), None).parts == [500, 500]
    slow = [*calls((None, None), duration_ms=9), *calls((None, None), duration_ms=1), *calls((None, None))]
    assert weighted(line(), slow, "duration").parts == [900, 100, 0]
    assert unclaimed(line(), "credit").rest == 1000
