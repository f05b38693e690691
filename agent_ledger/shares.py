"""The arithmetic of dividing one line of a bill: whole pico-dollars that always add up to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

SCALE: Final = 10**9  # weights are compared to nine decimals

Units = Mapping[str, tuple[str, float]]
"""Name of a unit in lower case -> what it counts, and how many of it."""


class Line(NamedTuple):
    """A line of a bill."""

    id: int
    picos: int
    start: str
    end: str
    provider: str
    account: str | None
    service: str | None
    resource_id: str | None
    operation: str | None
    usage_type: str | None
    quantity: str | None
    unit: str | None
    category: str
    request_id: str | None


class ToolCall(NamedTuple):
    """A tool call that may take part."""

    id: int
    ts: str
    operation: str | None
    units: float | None
    unit: str | None
    duration_ms: int | None
    service: str | None


class Taken(NamedTuple):
    """What became of a line: who takes which part of it, and the rest."""

    method: str
    calls: Sequence[ToolCall]
    weights: Sequence[int]  # in 1e-9
    parts: Sequence[int]  # picos
    rest: int
    reason: str | None


def split(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole parts proportional to `weights`, by largest remainder; the earlier of equals gets more.

    Weights that are all 0 count as equal. The parts add up to `total`; those of a negative total are negative.
    """
    if total < 0:
        return [-part for part in split(-total, weights)]
    whole = sum(weights)
    if whole == 0 or weights.count(weights[0]) == len(weights):
        share, left = divmod(total, len(weights))
        return [share + 1] * left + [share] * (len(weights) - left)
    parts = [total * weight // whole for weight in weights]
    left = total - sum(parts)
    if left:
        order = sorted(range(len(weights)), key=lambda index: -(total * weights[index] % whole))
        for index in order[:left]:
            parts[index] += 1
    return parts


def metered(line: Line, calls: Sequence[ToolCall], units: Units) -> Taken | None:
    """Each call takes its own units at the line's price; what nobody used is the rest.

    None: the line is not metered in what the calls count.
    """
    quantity = Decimal(line.quantity or 0)
    if quantity <= 0 or not line.unit:
        return None
    base, factor = base_of(line.unit, units)
    billed = int(quantity * Decimal(factor) * SCALE)
    weights = _used(calls, base, units)
    used = sum(weights)
    if billed <= 0 or used <= 0:
        return None
    if used >= billed:
        return Taken("metered", calls, weights, split(line.picos, weights), 0, None)
    *parts, rest = split(line.picos, [*weights, billed - used])
    return Taken("metered", calls, weights, parts, rest, "not all metered" if rest else None)


def base_of(unit: str, units: Units) -> tuple[str, float]:
    """What a unit counts, and how many of it. One that nobody knows counts only itself."""
    return units.get(unit.lower()) or (unit.lower(), 1.0)


def is_requests(line: Line, units: Units) -> bool:
    """Does the line count requests?"""
    return line.unit is not None and base_of(line.unit, units)[0] == "request"


def _used(calls: Sequence[ToolCall], base: str, units: Units) -> list[int]:
    """How much of `base` each call used, in 1e-9. A call that does not count requests is one."""
    factors: dict[str, float | None] = {}
    for unit in {call.unit for call in calls if call.unit}:
        own, factor = base_of(unit, units)
        factors[unit] = factor * SCALE if own == base else None
    other = SCALE if base == "request" else 0
    return [
        other if (scale := factors.get(call.unit or "")) is None else round((call.units or 0) * scale) for call in calls
    ]


def weighted(line: Line, calls: Sequence[ToolCall], weight: str | None) -> Taken:
    """The whole line by weight: of the calls, of their units, or of their duration.

    None: by units where all calls count the same ones, else each call alike.
    """
    if weight is None and len({call.unit for call in calls}) == 1 and calls[0].unit is not None:
        weight = "units"
    if weight == "duration":
        weights = [(call.duration_ms or 0) * SCALE for call in calls]
    elif weight == "units":
        weights = [round((call.units or 0) * SCALE) for call in calls]
    else:
        weights = [SCALE] * len(calls)
    return Taken("weighted", calls, weights, split(line.picos, weights), 0, None)


def unclaimed(line: Line, reason: str) -> Taken:
    """A line that nobody takes."""
    return Taken("weighted", (), (), (), line.picos, reason)
