"""Covering a period with whole months, days and hours, so that it can be added up from sums over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

MONTH, DAY, HOUR, MOMENT = 7, 10, 13, 24
"""How many characters of a ledger timestamp name the month, the day, the hour and the moment itself."""

_START: Final = "0000-01-01T00:00:00.000Z"
_EVER: Final = "~"  # after every timestamp


class Piece(NamedTuple):
    """The buckets of `digits` characters from `first` on and before `end`: "" and "~" are open ends."""

    digits: int
    first: str
    end: str


def cover(since: str | None, until: str | None, sizes: Sequence[int]) -> Iterator[Piece]:
    """The period from `since` on and before `until` (ledger timestamps; None: open) as pieces that do not overlap.

    `sizes` of buckets are tried in this order, the largest first; what is left over are pieces of moments.
    """
    yield from _cover(since or "", until or _EVER, tuple(sizes))


def _cover(since: str, until: str, sizes: Sequence[int]) -> Iterator[Piece]:
    if since >= until:
        return
    if not sizes:
        yield Piece(MOMENT, since, until)
        return
    first, end = _at_or_after(since, sizes[0]), until if until == _EVER else until[: sizes[0]]
    if first >= end:
        yield from _cover(since, until, sizes[1:])
        return
    yield from _cover(since, _starts(first), sizes[1:])
    yield Piece(sizes[0], first, end)
    if end != _EVER:
        yield from _cover(_starts(end), until, sizes[1:])


def _starts(bucket: str) -> str:
    """The first moment of a bucket; "": of all time."""
    return bucket and bucket + _START[len(bucket) :]


def _at_or_after(moment: str, digits: int) -> str:
    """The first bucket that begins at the moment, or after it."""
    bucket = moment[:digits]
    return bucket if moment == _starts(bucket) else _next(bucket)


def _next(bucket: str) -> str:
    try:
        if len(bucket) == MONTH:
            return (date.fromisoformat(f"{bucket}-01") + timedelta(days=31)).isoformat()[:MONTH]
        return (
            datetime.fromisoformat(_starts(bucket)) + timedelta(hours=1 if len(bucket) == HOUR else 24)
        ).isoformat()[: len(bucket)]
    except OverflowError:  # the calendar ends
        return _EVER
