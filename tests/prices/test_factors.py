"""Prices that follow from published multipliers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import combinations

import pytest
from genai_prices.data_snapshot import get_snapshot

from agent_ledger.prices.factors import FACTORS, claude_version, derive
from agent_ledger.prices.genai import GenaiPrices
from agent_ledger.prices.intervals import intersect, interval, subtract
from agent_ledger.prices.rules import validate
from agent_ledger.records import PriceRevision

NOW = "2026-11-23T00:00:00.000Z"
EARLIER = "2026-08-01T00:00:00.000Z"


def find(
    provider: str,
    model: str,
    tier: str | None = None,
    region: str | None = None,
    at: str = NOW,
    above: int | None = None,
) -> PriceRevision | None:
    rows = [
        row
        for row in GenaiPrices().prices(provider, model)
        if (row.service_tier, row.region, row.above_tokens) == (tier, region, above)
        and (row.effective_from or "") <= at < (row.effective_to or "~")
        and row.time_from is None
    ]
    assert len(rows) < 2
    return rows[0] if rows else None


def amounts(row: PriceRevision | None) -> tuple[int | None, ...]:
    assert row is not None
    return row.input, row.cache_read, row.cache_write, row.cache_write_1h, row.output


def test_c50_inference_geo_us_is_ten_percent_on_every_token_bucket_and_not_on_fees() -> None:
    us = find("anthropic", "claude-opus-4-6", region="us")
    assert amounts(us) == (5_500_000, 550_000, 6_875_000, 11_000_000, 27_500_000)
    assert us is not None
    assert us.web_search == 10_000_000_000
    assert us.basis == "1.1 x standard (region us)"


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        ("batch", (2_200_000, 110_000, 2_750_000, 4_400_000, 11_000_000)),
        ("fast", (8_800_000, 440_000, 11_000_000, 17_600_000, 44_000_000)),
    ],
)
def test_c50_inference_geo_us_holds_on_top_of_a_tier(tier: str, expected: tuple[int, ...]) -> None:
    us = find("anthropic", "claude-opus-5-5", tier=tier, region="us")
    assert amounts(us) == expected
    assert us is not None
    assert us.basis == f"1.1 x {tier} (region us)"


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("claude-opus-4-6", (4, 6)),
        ("claude-sonnet-4.6", (4, 6)),
        ("claude-opus-4-6-20260205", (4, 6)),
        ("claude-sonnet-4-20250514", (4, 0)),
        ("claude-sonnet-5", (5, 0)),
        ("claude-sonnet-5-20260901", (5, 0)),
        ("claude-fable-5-1", (5, 1)),
        ("claude-mythos-5-2", (5, 2)),
        ("claude-5.5-opus", (5, 5)),
        ("claude-3-5-haiku-latest", (3, 5)),
        ("claude-3-opus-latest", (3, 0)),
        ("claude-v1", None),
        ("gpt-5.4", None),
    ],
)
def test_the_version_of_a_claude_model(model: str, version: tuple[int, int] | None) -> None:
    assert claude_version(model) == version


@pytest.mark.parametrize(
    "model", ["claude-opus-4-5", "claude-sonnet-4-20250514", "claude-3-5-haiku-latest", "claude-2"]
)
def test_c50_models_before_4_6_have_no_price_for_a_region(model: str) -> None:
    assert all(row.region is None for row in GenaiPrices().prices("anthropic", model))


def test_c86_only_the_literal_us_has_an_uplift() -> None:
    """ "not_available", "global" and NULL find no row of their own: the row of any region prices them, factor 1."""
    assert {row.region for row in GenaiPrices().prices("anthropic", "claude-opus-5-5")} == {None, "us"}


@pytest.mark.parametrize("region", ["us", "eu"])
@pytest.mark.parametrize(
    "model", ["gpt-5.4", "gpt-5.4-mini", "gpt-5.5-pro", "gpt-5.6-sol", "gpt-6-luna", "gpt-6.1-terra"]
)
def test_c51_openais_regional_hosts_cost_ten_percent_more(model: str, region: str) -> None:
    standard, regional = find("openai", model), find("openai", model, region=region)
    assert standard is not None
    assert regional is not None
    assert standard.input is not None
    assert regional.input == standard.input * 11 // 10
    assert (regional.web_search, regional.units) == (standard.web_search, standard.units)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5", "gpt-5.2", "o3"])
def test_c51_older_families_have_no_uplift(model: str) -> None:
    assert all(row.region is None for row in GenaiPrices().prices("openai", model))


def test_c51_through_a_fallback_provider_nothing_is_derived() -> None:
    for model in ("gpt-5.5", "claude-opus-4-6"):
        rows = GenaiPrices().prices("azure", model)
        assert rows
        assert {(row.service_tier, row.region) for row in rows} == {(None, None)}


def test_c52_every_tier_that_a_response_names_has_its_own_price() -> None:
    prices = {tier: find("openai", "gpt-5.5", tier=tier) for tier in (None, "batch", "flex", "priority", "fast")}
    assert {tier: row and row.input for tier, row in prices.items()} == {
        None: 5_000_000,
        "batch": 2_500_000,
        "flex": 2_500_000,
        "priority": 12_500_000,
        "fast": 12_500_000,
    }


@pytest.mark.parametrize("at", [EARLIER, NOW])
@pytest.mark.parametrize("tier", ["batch", "flex"])
@pytest.mark.parametrize("above", [None, 272_000])
def test_c53_batch_x_long_context_x_cache(tier: str, above: int | None, at: str) -> None:
    standard, half = find("openai", "gpt-5.5", above=above, at=at), find("openai", "gpt-5.5", tier, above=above, at=at)
    assert [amount and amount * 2 for amount in amounts(half)] == list(amounts(standard))
    assert half is not None
    assert (half.basis == "published") == (at == NOW)


def test_c53_anthropic_batch_halves_cache_and_long_context() -> None:
    at = "2026-01-15T00:00:00.000Z"
    assert amounts(find("anthropic", "claude-opus-4-6", "batch", above=200_000, at=at)) == (
        *(5_000_000, 500_000, 6_250_000, 10_000_000, 18_750_000),
    )
    row = find("anthropic", "claude-opus-4-6", "batch", at=at)
    assert row is not None
    assert (row.basis, row.web_search) == ("0.5 x standard (batch)", 10_000_000_000)


def test_a_derived_row_ends_where_the_published_one_begins() -> None:
    rows = [row for row in GenaiPrices().prices("anthropic", "claude-opus-4-5") if row.service_tier == "batch"]
    spans = sorted((row.effective_from, row.effective_to or "", row.basis) for row in rows)
    assert spans == [
        ("2024-10-08T00:00:00.000Z", "2026-10-14T00:00:00.000Z", "0.5 x standard (batch)"),
        ("2026-10-14T00:00:00.000Z", "", "published"),
    ]


def test_openais_batch_lowers_only_what_its_price_list_lowers() -> None:
    for at in (EARLIER, NOW):  # gpt-4o has no cached batch price: a cached token costs the same there
        assert amounts(find("openai", "gpt-4o", "batch", at=at)) == (1_250_000, 1_250_000, None, None, 5_000_000)
        assert amounts(find("openai", "gpt-5", "batch", at=at))[:2] == (625_000, 62_500)


def test_openais_flex_only_for_models_that_have_it() -> None:
    assert find("openai", "gpt-4o", "flex") is None
    before, after = "2025-04-16T23:59:59.999Z", "2025-04-17T00:00:00.000Z"
    assert find("openai", "o3", "flex", at=before) is None
    assert amounts(find("openai", "o3", "flex", at=after))[0] == 5_000_000  # half of the price of that day
    assert amounts(find("openai", "o3", "flex", at="2025-06-10T00:00:00.000Z"))[0] == 1_000_000


def test_fast_mode_is_published_for_every_model_that_has_it() -> None:
    for model, expected in (("claude-opus-4-8", 10_000_000), ("claude-opus-5-5", 8_000_000)):
        row = find("anthropic", model, "fast")
        assert row is not None
        assert (row.input, row.output, row.basis) == (expected, 5 * expected, "published")


def test_units_of_tokens_are_multiplied_and_others_are_not() -> None:
    row = PriceRevision(
        model="m", source="s", input=1_000, units={"input_audio_tokens": 4_000, "storage_searches": 2_500}, request=7
    )
    (batch,) = (row for row in derive([row], "anthropic", "claude-3-opus") if row.service_tier == "batch")
    assert batch.units == {"input_audio_tokens": 2_000, "storage_searches": 2_500}
    assert (batch.input, batch.request) == (500, 7)


def test_half_a_pico_dollar_rounds_to_even() -> None:
    row = PriceRevision(model="m", source="s", input=5, output=7)
    (batch,) = derive([row], "anthropic", "claude-3-opus")
    assert (batch.input, batch.output) == (2, 4)


def test_a_published_row_in_the_middle_cuts_a_derived_one_in_two() -> None:
    standard = PriceRevision(model="m", source="s", input=10, output=10)
    published = replace(
        standard, service_tier="batch", input=4, effective_from="2025-01-01T00:00:00.000Z", effective_to=EARLIER
    )
    rows = derive([standard, published], "anthropic", "claude-3-opus")
    assert [(row.effective_from, row.effective_to) for row in rows] == [
        ("2024-10-08T00:00:00.000Z", "2025-01-01T00:00:00.000Z"),
        (EARLIER, None),
    ]


def test_no_two_rows_of_any_model_overlap() -> None:
    source = GenaiPrices()
    for host in get_snapshot().providers:
        for info in host.models:
            rows = source.prices(host.id, info.id)
            scopes = defaultdict(list)
            for row in rows:
                scopes[row.service_tier, row.region, row.above_tokens, row.time_from].append(interval(row))
            for scope, spans in scopes.items():
                assert not any(intersect(one, other) for one, other in combinations(spans, 2)), (
                    host.id,
                    info.id,
                    scope,
                )
            if not info.id.endswith("free"):
                validate(rows)


def test_every_factor_says_where_it_comes_from() -> None:
    assert all(factor.citation and 0 < factor.factor < 2 for factor in FACTORS)
    assert all(factor.since or factor.region for factor in FACTORS)


def test_intervals() -> None:
    assert intersect((None, "3"), ("2", None)) == ("2", "3")
    assert intersect((None, "2"), ("2", None)) is None
    assert intersect((None, None), (None, None)) == (None, None)
    assert subtract((None, None), [("2", "3"), ("5", None)]) == [(None, "2"), ("3", "5")]
    assert subtract(("1", "9"), [(None, None)]) == []
    assert subtract(("1", "9"), []) == [("1", "9")]
