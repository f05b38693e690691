"""Exact money: dollars are `Decimal` in Python and whole pico-dollars (10^-12 USD) in SQLite.

Published prices per million tokens have at most six decimals, so a price per token is a whole number of
pico-dollars. This module is the only place that rounds.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

PICOS_PER_DOLLAR = 10**12
PICOS_PER_TOKEN_AT_ONE_DOLLAR_PER_MILLION = 10**6


def decimal(value: object) -> Decimal:
    """`value` as an exact, finite Decimal. A float counts as the shortest number that prints the same.

    Raises ValueError for anything that is not a finite number.
    """
    if isinstance(value, bool):
        raise ValueError("a truth value is not an amount")
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    return number


def picos(dollars: object) -> int:
    """Dollars as whole pico-dollars, rounded half to even. Raises ValueError as `decimal` does."""
    return int((decimal(dollars) * PICOS_PER_DOLLAR).to_integral_value(ROUND_HALF_EVEN))


def picos_per_token(dollars_per_million_tokens: object) -> int:
    """A price per million tokens as pico-dollars per token, rounded half to even.

    Every published price is exact; what rounds away is binary noise such as 0.18000000000000002.
    """
    scaled = decimal(dollars_per_million_tokens) * PICOS_PER_TOKEN_AT_ONE_DOLLAR_PER_MILLION
    return int(scaled.to_integral_value(ROUND_HALF_EVEN))


def dollars(pico_dollars: int) -> Decimal:
    """Pico-dollars as dollars, exactly."""
    return Decimal(pico_dollars) / PICOS_PER_DOLLAR
