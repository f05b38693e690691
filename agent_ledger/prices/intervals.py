"""Half-open intervals of ledger timestamps, where None is an open end. Text compares as time does."""

from __future__ import annotations

from collections.abc import Iterable

from agent_ledger.records import PriceRevision

Interval = tuple[str | None, str | None]

# Sorts before and after every ledger timestamp.
_FIRST, _LAST = "", "~"


def interval(row: PriceRevision) -> Interval:
    return row.effective_from, row.effective_to


def intersect(one: Interval, other: Interval) -> Interval | None:
    """The time that both cover; None: there is none."""
    start = max(one[0] or _FIRST, other[0] or _FIRST)
    end = min(one[1] or _LAST, other[1] or _LAST)
    if start >= end:
        return None
    return start if start != _FIRST else None, end if end != _LAST else None


def subtract(whole: Interval, parts: Iterable[Interval]) -> list[Interval]:
    """What remains of `whole` without `parts`, in order."""
    remaining: list[Interval] = [whole]
    for part in parts:
        cut: list[Interval] = []
        for piece in remaining:
            if intersect(piece, part) is None:
                cut.append(piece)
                continue
            before = intersect(piece, (None, part[0])) if part[0] else None
            after = intersect(piece, (part[1], None)) if part[1] else None
            cut.extend(left for left in (before, after) if left is not None)
        remaining = cut
    return remaining
