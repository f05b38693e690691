"""The text of charts: amounts that can't be misread, labels that can't do harm."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("datasette", reason="the extra datasette is not installed")

from datasette_agent_ledger.charts import amounts, labels


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "unknown"),
        (float("nan"), "unknown"),
        (float("inf"), "unknown"),
        (0, "$0.00"),
        (-0.0, "$0.00"),
        (0.004, "<$0.01"),
        (-0.004, "−<$0.01"),
        (0.005, "$0.01"),
        (1234567.891, "$1,234,567.89"),
        (-3, "−$3.00"),
    ],
)
def test_dollars(value: float | None, expected: str) -> None:
    assert amounts.usd(value) == expected


def test_zero_the_smallest_and_unknown_are_three_things() -> None:
    assert len({amounts.usd(value) for value in (0.0, 1e-12, None)}) == 3
    assert len({amounts.share(value) for value in (0.0, 1e-12, None, 1 - 1e-12, 1.0)}) == 5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "$0"),
        (2500, "$2,500"),
        (0.002, "$0.002"),
        (1_500_000, "$1.5M"),
        (-20, "−$20"),
        (2e9, "$2B"),
        (1e-6, "$0.000001"),
    ],
)
def test_dollars_of_an_axis(value: float, expected: str) -> None:
    assert amounts.usd_tick(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.042, "4.2%"), (1, "100.0%"), (1.2, "120.0%"), (-0.1, "−10.0%")])
def test_shares(value: float, expected: str) -> None:
    assert amounts.share(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("invoice-reconciler", "invoice-reconciler"),
        ("a\n\tb", "a b"),
        ("", "␣"),
        (" ", "␣"),
        ("x" * 99, "x" * 21 + "…" + "x" * 10),
        ("evil\u202egnp", "evil�gnp"),
        ("\x00", "�"),
        ("abc" + "界" * 40, "abc" + "界" * 9 + "…" + "界" * 5),
    ],
)
def test_labels_are_shortened_in_the_middle(text: str, expected: str) -> None:
    assert labels.shorten(text) == expected


def test_what_belongs_together_is_not_cut_apart() -> None:
    family = "👩‍👩‍👧‍👦"
    cut = labels.shorten(family * 50, 12)
    assert cut.replace(family, "") == "…"
    assert labels.shorten("é" * 50, 12).count("é") == labels.shorten("e\u0301" * 50, 12).count("e\u0301") == 11


@given(st.text(), st.integers(4, 60))
def test_no_label_is_wider_than_it_may_be_or_does_harm(text: str, columns: int) -> None:
    short = labels.shorten(text, columns)
    assert 0 < len(short) <= columns * 16
    wide = sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in short)
    joined = sum(unicodedata.category(character).startswith("M") or character == "\u200d" for character in short)
    assert wide - 2 * joined <= columns
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in short)
    assert labels.shorten(short, columns) == short


def test_only_the_ends_of_a_very_long_label_are_looked_at() -> None:
    assert labels.shorten("a" + "x" * 10**7 + "z", 8) == "axxxx…xz"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2026-10-03", "3 Oct 2026"), ("2026-10", "October 2026"), ("2026-02-31", "2026-02-31"), ("（）", "（）")],
)
def test_days_and_months(text: str, expected: str) -> None:
    assert labels.day(text) == expected


def test_ticks_name_the_month_where_it_changes() -> None:
    assert labels.tick("2026-10-03", None) == labels.tick("2026-10-03", "2026-09-30") == "3 Oct"
    assert labels.tick("2026-10-03", "2026-10-01") == "3"
    assert labels.tick("2026-10", "2026-09") == "Oct"
    assert labels.tick("2026-01", "2025-12") == "Jan 2026"
