"""How amounts read in a chart: dollars, counts and shares as text. Nothing is computed here but the rounding.

None is "unknown" everywhere, never zero; so is a number that is not finite.
"""

from __future__ import annotations

import math
from typing import TypeGuard

UNKNOWN = "unknown"
MINUS = "\N{MINUS SIGN}"
_LARGE = ((1e12, "T"), (1e9, "B"), (1e6, "M"))


def known(value: float | None) -> TypeGuard[float]:
    """True for a finite number."""
    return value is not None and math.isfinite(value)


def usd(value: float | None, digits: int = 2) -> str:
    """Dollars with `digits` decimals: "$1,234.50", "−$3.00". What would round to nothing is "<$0.01"."""
    if not known(value):
        return UNKNOWN
    text = f"{abs(value):,.{digits}f}"
    if value and not text.strip("0.,"):
        return f"{MINUS if value < 0 else ''}<${10**-digits:.{digits}f}"
    return f"{MINUS if value < 0 and text.strip('0.,') else ''}${text}"


def usd_tick(value: float) -> str:
    """Dollars on an axis: "$0", "$2,500", "$1.5M"; decimals only where the step needs them."""
    sign, size = MINUS if value < 0 else "", abs(value)
    for factor, letter in _LARGE:
        if size >= factor:
            return f"{sign}${_plain(size / factor)}{letter}"
    return f"{sign}${_plain(size)}"


def count(value: float | None) -> str:
    """A count with thousands separated: "12,345"."""
    if not known(value):
        return UNKNOWN
    return f"{value:,.0f}".replace("-", MINUS)


def share(value: float | None, digits: int = 1) -> str:
    """A share of one as per cent: "4.2%". What is not all never reads as 100%, what is something never as 0%."""
    if not known(value):
        return UNKNOWN
    per_cent, smallest = value * 100, 10**-digits
    if 0 < per_cent < smallest / 2:
        return f"<{smallest:.{digits}f}%"
    if 100 - smallest / 2 <= per_cent < 100:
        return f">{100 - smallest:.{digits}f}%"
    return f"{per_cent:,.{digits}f}%".replace("-", MINUS)


def _plain(size: float) -> str:
    """All its decimals, without trailing zeros and without an exponent."""
    text = f"{size:,.12f}" if size < 1e6 else f"{size:,.0f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
