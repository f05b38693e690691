"""What may not enter a ledger as a price."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from agent_ledger.errors import InvalidPrice
from agent_ledger.prices.rules import MAXIMUM_PER_REQUEST, MAXIMUM_PER_TOKEN, validate
from agent_ledger.records import PriceRevision

ROW = PriceRevision(model="m", source="s", input=3_000_000, output=15_000_000)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"input": -1}, "input"),
        ({"cache_read": -1_000_000}, "cache_read"),
        ({"web_search": -1}, "web_search"),
        ({"units": {"input_audio_tokens": -1}}, "input_audio_tokens"),
        ({"input": 0, "output": 0}, "input"),
        ({"input": 0, "output": None}, "input"),
        ({"input": None, "output": 0}, "input"),
        ({"input": 0, "output": 0, "web_search": 10**10}, "input"),
        ({"input": 0, "output": 0, "cache_read": 500_000}, "input"),
        ({"input": None, "output": None}, "input"),
        ({"output": MAXIMUM_PER_TOKEN + 1}, "output"),
        ({"units": {"output_audio_tokens": MAXIMUM_PER_TOKEN + 1}}, "output_audio_tokens"),
        ({"request": MAXIMUM_PER_REQUEST + 1}, "request"),
        ({"above_tokens": 200_000}, "above_tokens"),
        ({"above_tokens": -1}, "above_tokens"),
        ({"comparator": ">"}, "comparator"),
        ({"effective_from": "2026-05-01T00:00:00.000Z", "effective_to": "2026-05-01T00:00:00.000Z"}, "effective_to"),
        ({"effective_from": "2026-05-01T00:00:00.000Z", "effective_to": "2026-04-01T00:00:00.000Z"}, "effective_to"),
        ({"discount": Decimal("0.15")}, "discount"),
        ({"discount": Decimal(0), "input": None, "output": None}, "discount"),
        ({"discount": Decimal(1), "input": None, "output": None}, "discount"),
        ({"discount": Decimal("-0.1"), "input": None, "output": None}, "discount"),
        ({"discount": Decimal(15), "input": None, "output": None}, "discount"),
        ({"discount": Decimal("0.1"), "input": None, "output": None, "above_tokens": 1}, "above_tokens"),
    ],
)
def test_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidPrice, match=rf"^s has a price for m whose {field} is .+: .+"):
        validate([replace(ROW, **changes)])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"output": None},
        {"input": None},
        {"input": 0},
        {"input": 0, "output": 0, "request": 5_000_000_000},
        {"input": 0, "output": 0, "units": {"output_audio_tokens": 12_000_000}},
        {"input": 0, "output": 0, "model": "mistral-7b:free"},
        {"input": 0, "output": 0, "model": "GLM-4-Free"},
        {"input": 0, "output": 0, "basis": "free"},
        {"input": MAXIMUM_PER_TOKEN},
        {"input": None, "output": None, "web_search": 10**10},
        {"comparator": "ge"},
        {"discount": Decimal("0.15"), "input": None, "output": None},
    ],
)
def test_accepted(changes: dict[str, Any]) -> None:
    validate([replace(ROW, **changes)])


def test_c57_a_negative_sentinel_is_refused_also_for_a_free_model() -> None:
    with pytest.raises(InvalidPrice, match="negative"):
        validate([replace(ROW, input=-1_000_000, output=-1_000_000)], free=True)


def test_c81_zero_is_refused_unless_the_user_says_free() -> None:
    zero = replace(ROW, input=0, output=0)
    with pytest.raises(InvalidPrice, match=r"\$0 only if it is declared free"):
        validate([replace(ROW, service_tier="batch"), zero])
    validate([zero], free=True)


def test_a_band_needs_a_base_row_of_its_own_tier_region_and_time() -> None:
    start, end = "2026-05-01T00:00:00.000Z", "2026-07-01T00:00:00.000Z"
    band = replace(ROW, above_tokens=200_000, effective_from=start)
    validate([band, ROW])
    validate([band, replace(ROW, effective_to=end), replace(ROW, effective_from=end)])
    for base in (
        replace(ROW, service_tier="batch"),
        replace(ROW, region="us"),
        replace(ROW, effective_to=end),
        replace(ROW, model="n"),
        replace(ROW, input=None, output=None, discount=Decimal("0.1")),
    ):
        with pytest.raises(InvalidPrice, match="above_tokens is 200000: add the row without above_tokens"):
            validate([band, base])


def test_two_rows_for_the_same_time_are_refused() -> None:
    """Which of them would hold is chance; the join in SQL would count both."""
    start, end = "2026-05-01T00:00:00.000Z", "2026-07-01T00:00:00.000Z"
    validate([replace(ROW, effective_to=start), replace(ROW, effective_from=start)])
    validate([ROW, *(replace(ROW, **other) for other in DISTINCT)])
    for one, other in (
        (ROW, ROW.__class__(model="m", source="s", input=1)),
        (ROW, replace(ROW, effective_from=start)),
        (replace(ROW, effective_to=end), replace(ROW, effective_from=start)),
    ):
        with pytest.raises(InvalidPrice, match=r"effective_from is .+: a row before prices the same model"):
            validate([one, other])


DISTINCT: list[dict[str, Any]] = [
    {"service_tier": "batch"},
    {"region": "us"},
    {"provider": "p"},
    {"model": "n"},
    {"time_from": "01:00", "time_to": "04:00"},
    {"above_tokens": 200_000},
    {"above_tokens": 400_000},
    {"discount": Decimal("0.1"), "input": None, "output": None},
]
