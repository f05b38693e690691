"""Any period is covered once by its pieces."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_ledger import clock, periods

START, END = datetime.fromisoformat("2024-01-30"), datetime.fromisoformat("2024-04-02")
moments = st.one_of(
    st.datetimes(START, END, timezones=st.just(UTC)).map(clock.timestamp),
    st.sampled_from(["2024-02-01T00:00:00.000Z", "2024-02-29T00:00:00.000Z", "2024-03-01T05:00:00.000Z"]),
)
bounds = st.one_of(st.none(), moments)
sizes = st.sampled_from([(7, 10, 13), (7, 10), (10, 13), (13,), (10,), ()])


@given(bounds, bounds, sizes, st.lists(moments, min_size=1, max_size=20))
def test_a_moment_is_in_one_piece_if_it_is_in_the_period(since, until, digits, found):
    pieces = list(periods.cover(since, until, digits))
    assert {piece.digits for piece in pieces} <= {*digits, periods.MOMENT}
    for moment in found:
        inside = (since or "") <= moment < (until or "~")
        assert sum(piece.first <= moment[: piece.digits] < piece.end for piece in pieces) == inside


@given(moments, moments, sizes)
def test_pieces_hold_whole_buckets_only(since, until, digits):
    for piece in periods.cover(since, until, digits):
        assert since <= piece.first + "0000-01-01T00:00:00.000Z"[piece.digits :]
        assert piece.end + "0000-01-01T00:00:00.000Z"[piece.digits :] <= until


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("2026-10-01T00:00:00.000Z", "2026-11-01T00:00:00.000Z", [(7, "2026-10", "2026-11")]),
        (None, None, [(7, "", "~")]),
        (None, "2026-10-02T00:00:00.000Z", [(7, "", "2026-10"), (10, "2026-10-01", "2026-10-02")]),
        ("9999-12-31T12:00:00.000Z", None, [(13, "9999-12-31T12", "~")]),
        ("2026-10-01T00:00:00.000Z", "2026-10-01T00:00:00.000Z", []),
    ],
)
def test_examples(since, until, expected):
    assert list(periods.cover(since, until, (7, 10, 13))) == expected
