from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_ledger import money


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.29, "0.29"),
        (0.1, "0.1"),
        ("2.50", "2.50"),
        (" 3 ", "3"),
        (7, "7"),
        (Decimal("1e-12"), "1e-12"),
        ("-0.5", "-0.5"),
        (1e-7, "1e-7"),
    ],
)
def test_decimal_keeps_what_is_written(value: object, expected: str) -> None:
    assert money.decimal(value) == Decimal(expected)


@pytest.mark.parametrize(
    "value", [True, False, "", "abc", "NaN", "Infinity", "-inf", float("nan"), float("inf"), None, [], "1,5", "0x10"]
)
def test_decimal_refuses_what_is_not_a_finite_number(value: object) -> None:
    with pytest.raises(ValueError, match="not"):
        money.decimal(value)


def test_dollars_become_whole_pico_dollars() -> None:
    assert money.picos("0.29") == 290_000_000_000
    assert money.picos(0.29) == 290_000_000_000
    assert money.picos(Decimal("1e-12")) == 1


@pytest.mark.parametrize(
    ("dollars", "expected"), [("0.5e-12", 0), ("1.5e-12", 2), ("2.5e-12", 2), ("2.51e-12", 3), ("-1.5e-12", -2)]
)
def test_halves_go_to_even(dollars: str, expected: int) -> None:
    assert money.picos(dollars) == expected
    assert money.picos_per_token(Decimal(dollars) * 10**6) == expected


@pytest.mark.parametrize(
    ("price", "expected"), [("3", 3_000_000), ("0.0375", 37_500), ("0.000001", 1), (0.18000000000000002, 180_000)]
)
def test_prices_per_million_tokens_are_whole_pico_dollars(price: object, expected: int) -> None:
    assert money.picos_per_token(price) == expected


@given(st.integers(-(10**24), 10**24))
def test_dollars_and_back_is_exact(picos: int) -> None:
    assert Fraction(money.dollars(picos)) == Fraction(picos, 10**12)
    assert money.picos(money.dollars(picos)) == picos


@given(st.floats(min_value=1e-9, max_value=1e9))
def test_a_float_counts_as_it_prints(value: float) -> None:
    assert float(money.decimal(value)) == value
    assert money.decimal(value) == money.decimal(repr(value))
