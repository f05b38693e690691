"""From dollars to pixels: round ticks that include zero, and a linear scale."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from datasette_agent_ledger.charts.amounts import known

LEAST = 1e-12  # a pico-dollar: there is no smaller amount
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def ticks(lowest: float, highest: float, about: int = 4) -> list[float]:
    """Round numbers a round step apart, from at or below `lowest` to at or above `highest`, zero among them."""
    lowest, highest = min(lowest, 0.0), max(highest, 0.0)
    if highest - lowest < LEAST:
        return [0.0, 1.0]
    rough = highest / about - lowest / about
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next((factor * magnitude for factor in _STEPS if factor * magnitude >= rough * (1 - 1e-9)), 10 * magnitude)
    first, last = math.floor(lowest / step + 1e-9), math.ceil(highest / step - 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


@dataclass(frozen=True)
class Scale:
    """Values to vertical pixels: the highest tick at `top`, the lowest at `bottom`."""

    ticks: tuple[float, ...]
    top: float
    bottom: float

    def y(self, value: float) -> float:
        """The pixel of a value. What lies outside of the ticks stands at the edge."""
        low, high = self.ticks[0], self.ticks[-1]
        part = (value / 2 - low / 2) / (high / 2 - low / 2)  # halves, so that no difference overflows
        return self.bottom - min(max(part, 0.0), 1.0) * (self.bottom - self.top)


def scale(values: Iterable[float | None], top: float, bottom: float) -> Scale:
    """A scale that holds zero and all values that are known."""
    numbers = [value for value in values if known(value)]
    return Scale(tuple(ticks(min(numbers, default=0.0), max(numbers, default=0.0))), top, bottom)
