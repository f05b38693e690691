"""How amounts read in a chart: dollars, counts and shares as text. Nothing is computed here but the rounding.

None is "unknown" everywhere, never zero; so is a number that is not finite.
"""

from __future__ import annotations

import math
from typing import TypeGuard

UNKNOWN = "unknown"
MINUS = "\N{MINUS SIGN}"
_COMPACT = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


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


def usd_change(value: float | None, digits: int = 2) -> str:
    """A difference in dollars, with its sign: "+$12.00", "−$3.00", "$0.00"."""
    text = usd(value, digits)
    return f"+{text}" if known(value) and value > 0 else text


def usd_tick(value: float) -> str:
    """Dollars on an axis: "$0", "$2,500", "$1.5M"; decimals only where the step needs them."""
    sign, size = MINUS if value < 0 else "", abs(value)
    for factor, letter in _COMPACT[:3]:
        if size >= factor:
            return f"{sign}${_plain(size / factor)}{letter}"
    return f"{sign}${_plain(size)}"


def count(value: float | None) -> str:
    """A count with thousands separated: "12,345"."""
    if not known(value):
        return UNKNOWN
    return f"{value:,.0f}".replace("-", MINUS)


def compact(value: float | None) -> str:
    """A large count in three digits: "1.74B", "12.3k", "950"."""
    if not known(value):
        return UNKNOWN
    for factor, letter in _COMPACT:
        if abs(value) >= factor * 0.9995:
            return f"{value / factor:.3g}".replace("-", MINUS) + letter
    return f"{value:.3g}".replace("-", MINUS)


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


def share_change(value: float | None, digits: int = 1) -> str:
    """A relative change with its sign: "+12.5%", "−3.0%"."""
    text = share(value, digits)
    return f"+{text}" if known(value) and value > 0 else text


def _plain(size: float) -> str:
    """Up to six digits without trailing zeros and without an exponent for what an axis has."""
    text = f"{size:,.6g}" if size < 1e6 else f"{size:,.0f}"
    return text if "." not in text or "e" in text else text.rstrip("0").rstrip(".")
