"""The rows of the source "genai-prices", held against that package's own arithmetic."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib import import_module
from typing import Any

import pluggy
import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_ledger import clock, hookspecs, money
from agent_ledger.errors import InvalidPrice
from agent_ledger.prices.genai import GenaiPrices, expand
from agent_ledger.prices.rules import validate
from agent_ledger.records import PriceRevision

SNAPSHOT = get_snapshot()
PROVIDERS = {provider.id: provider for provider in SNAPSHOT.providers}
MODELS = [(provider, info) for provider in SNAPSHOT.providers for info in provider.models]
CONTEXTS: dict[str | None, dict[str, str]] = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"speed": "fast"},
}

# Prices with binary noise (all in genai-prices 0.2.3): stored they are rounded to whole pico-dollars per token.
NOISY = {
    ("huggingface_together", "Qwen/Qwen3-VL-8B-Instruct"),
    ("huggingface_together", "deepseek-ai/DeepSeek-V4-Flash-0731"),
    ("huggingface_together", "meta-llama/Llama-3.3-70B-Instruct"),
    *(
        ("openrouter", name)
        for name in (
            "google/gemini-2.5-flash",
            "google/gemini-2.5-flash-image",
            "google/gemini-2.5-flash-lite",
            "google/gemini-2.5-flash-lite:batch",
            "google/gemini-2.5-flash:batch",
            "google/gemini-3-flash-preview",
            "google/gemini-3-flash-preview:batch",
            "google/gemini-3.1-flash-lite",
            "google/gemini-3.1-flash-lite:batch",
            "google/gemini-3.5-flash",
            "google/gemini-3.5-flash-lite",
            "google/gemini-3.5-flash-lite:batch",
            "google/gemini-3.5-flash:batch",
            "google/gemini-3.6-flash",
            "google/gemini-3.6-flash:batch",
            "google/gemini-3.7-flash",
            "google/gemini-3.7-flash:batch",
            "google/gemini-3.8-flash",
            "google/gemini-3.8-flash:batch",
            "~google/gemini-flash-latest",
        )
    ),
}


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """A call, as the ledger counts: `input` and `cache_write` include their parts."""

    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    web_searches: int = 0


def pick(
    rows: list[PriceRevision], at: datetime, tokens: int, tier: str | None = None, region: str | None = None
) -> PriceRevision | None:
    """The one row for a call: tier and region (else standard), interval, window before all-day, highest band."""
    moment, minute = clock.timestamp(at), f"{at:%H:%M}"

    def holds(row: PriceRevision) -> bool:
        return (row.effective_from or "") <= moment < (row.effective_to or "~")

    def within(row: PriceRevision) -> bool:
        if row.time_from is None or row.time_to is None:
            return False
        if row.time_from < row.time_to:
            return row.time_from <= minute < row.time_to
        return minute >= row.time_from or minute < row.time_to

    now = [row for row in rows if holds(row)]
    mine = [row for row in now if (row.service_tier, row.region) == (tier, region)]
    mine = mine or [row for row in now if (row.service_tier, row.region) == (None, None)]
    mine = [row for row in mine if within(row)] or [row for row in mine if row.time_from is None]
    bands = [row for row in mine if row.above_tokens is None or tokens > row.above_tokens]
    if not bands:
        return None
    best = max(bands, key=lambda row: -1 if row.above_tokens is None else row.above_tokens)
    assert sum(row.above_tokens == best.above_tokens for row in bands) == 1, f"rows overlap: {bands}"
    return best


def cost(row: PriceRevision, call: Tokens) -> Fraction:
    """Dollars, with the fallbacks of missing buckets: cache reads and writes -> input, writes of 1 h -> writes."""
    read = row.cache_read if row.cache_read is not None else row.input
    write = row.cache_write if row.cache_write is not None else row.input
    write_1h = row.cache_write_1h if row.cache_write_1h is not None else write
    picos = (
        (call.input - call.cache_read - call.cache_write) * (row.input or 0)
        + call.cache_read * (read or 0)
        + (call.cache_write - call.cache_write_1h) * (write or 0)
        + call.cache_write_1h * (write_1h or 0)
        + call.output * (row.output or 0)
        + call.web_searches * (row.web_search or 0)
        + (row.request or 0)
    )
    return Fraction(picos, 10**12)


def oracle(host: Provider, info: ModelInfo, call: Tokens, at: datetime, context: dict[str, str] | None) -> Fraction:
    usage = Usage(
        input_tokens=call.input,
        output_tokens=call.output,
        cache_read_tokens=call.cache_read,
        cache_write_tokens=call.cache_write,
        cache_write_1h_tokens=call.cache_write_1h,
        web_searches=call.web_searches,
    )
    price = info.calc_price(usage, host, genai_request_timestamp=at, price_context=context)
    return Fraction(price.total_price)


def price_sets(info: ModelInfo) -> list[ModelPrice]:
    listed = [info.prices] if isinstance(info.prices, ModelPrice) else [entry.prices for entry in info.prices]
    return listed + [variant.prices for variant in info.price_variants or ()]


def thresholds(info: ModelInfo) -> list[int]:
    tiered = [value for price in price_sets(info) for value in vars(price).values() if isinstance(value, TieredPrices)]
    return sorted({tier.start for value in tiered for tier in value.tiers})


def instants(info: ModelInfo) -> list[datetime]:
    """Now; the last moment before and the first of each price; the edges of each daily window."""
    listed = info.prices if isinstance(info.prices, list) else []
    constraints: list[Any] = [entry.constraint for entry in [*listed, *(info.price_variants or ())]]
    moments = [datetime(2026, 11, 23, 12, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)]
    for constraint in constraints:
        if isinstance(constraint, StartDateConstraint):
            start = datetime.combine(constraint.start_date, time(), UTC)
            moments += [start - timedelta(milliseconds=1), start]
    days = sorted({moment.date() for moment in moments})
    for constraint in constraints:
        if isinstance(constraint, TimeOfDateConstraint):
            for day in days:
                for edge in (constraint.start_time, constraint.end_time):
                    moment = datetime.combine(day, edge.replace(tzinfo=UTC))
                    moments += [moment - timedelta(milliseconds=1), moment]
    return sorted(set(moments))


def calls(info: ModelInfo) -> list[Tokens]:
    """Below, at and above each threshold, with all buckets filled; and one plain call."""
    sizes = [0, 10_000, *(start + step for start in thresholds(info) for step in (-1, 0, 1))]
    return [
        Tokens(
            input=size,
            output=777,
            cache_read=size // 3,
            cache_write=size // 4,
            cache_write_1h=size // 7,
            web_searches=3 if size else 0,
        )
        for size in sizes
    ]


@cache
def representable(provider_id: str, model_id: str) -> bool:
    """Can the counts of a ledger price this model? Not where it bills by the hour, page or character only."""
    info = next(info for info in PROVIDERS[provider_id].models if info.id == model_id)
    return any(price.input_mtok is not None or price.output_mtok is not None for price in price_sets(info))


def contexts(info: ModelInfo) -> list[tuple[str | None, str | None, dict[str, str] | None]]:
    """Service tier, region and genai-prices' context: none, each that the model has, and one that it may not have."""
    whens = [variant.when for variant in info.price_variants or ()]
    # The ledger's tier "fast" is OpenAI's service tier of that name or Anthropic's speed; no provider has both.
    openais_fast = {"service_tier": "fast"}
    tiers = {**CONTEXTS, "fast": openais_fast} if openais_fast in whens else CONTEXTS
    known = [(tier, None, when) for tier, when in tiers.items() if tier == "batch" or when in whens]
    eu = {"route": "mistral/eu"}
    return [(None, None, None), *known, *([(None, "eu", eu)] if eu in whens else [])]


def same(host: Provider, info: ModelInfo, expected: Fraction, ours: Fraction, call: Tokens) -> bool:
    if (host.id, info.id) in NOISY:  # half a pico-dollar per token at most
        return abs(expected - ours) <= Fraction(call.input + call.output, 2 * 10**12)
    return expected == ours


def test_every_model_costs_what_genai_prices_says() -> None:
    points, unpriced, wrong = 0, set(), []
    for host, info in MODELS:
        rows = expand(host, info, host.id, info.id)
        if not representable(host.id, info.id):
            assert not rows
            unpriced.add((host.id, info.id))
            continue
        for at in instants(info):
            for tier, region, context in contexts(info):
                for call in calls(info):
                    row = pick(rows, at, call.input, tier, region)
                    assert row is not None, (host.id, info.id, at)
                    expected, ours = oracle(host, info, call, at, context), cost(row, call)
                    points += 1
                    if not same(host, info, expected, ours, call):
                        wrong.append((host.id, info.id, at, tier, call, float(expected), float(ours)))
    assert not wrong, wrong[:5]
    assert len(MODELS) >= 2_330
    assert points > 10_000
    assert len(unpriced) < len(MODELS) / 10
    print(f"{len(MODELS)} models, {len(unpriced)} without token prices, {points} points")


START = datetime(2023, 1, 1, tzinfo=UTC)
DATED = [
    (host, info)
    for host, info in MODELS
    if representable(host.id, info.id) and (isinstance(info.prices, list) or info.price_variants or thresholds(info))
]


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_any_call_at_any_time_costs_what_genai_prices_says(data: st.DataObject) -> None:
    host, info = data.draw(st.sampled_from(DATED))
    moments = st.integers(0, 53 * 30 * 24 * 3600).map(lambda second: START + timedelta(seconds=second))
    at = data.draw(moments | st.sampled_from(instants(info)))
    cached = [data.draw(st.integers(0, 400_000)) for _ in range(3)]
    hour = data.draw(st.integers(0, cached[2]))
    call = Tokens(
        input=sum(cached),
        output=data.draw(st.integers(0, 200_000)),
        cache_read=cached[1],
        cache_write=cached[2],
        cache_write_1h=hour,
        web_searches=data.draw(st.integers(0, 20)),
    )
    tier, region, context = data.draw(st.sampled_from(contexts(info)))
    row = pick(expand(host, info, host.id, info.id), at, call.input, tier, region)
    assert row is not None
    assert same(host, info, oracle(host, info, call, at, context), cost(row, call), call)


def test_rows_of_every_model_pass_the_rules_and_carry_the_ledgers_names() -> None:
    source = GenaiPrices()
    for host, info in MODELS:
        expanded = expand(host, info, "ours", "mine")
        rows = [*expanded, *source.prices(host.id, info.id)]
        free = [row for row in rows if row.input == 0 and not row.output]
        assert all(row.source_model and row.source_model.endswith("free") for row in free)
        validate(rows, free=bool(free))
        assert {(row.provider, row.model) for row in rows} <= {("ours", "mine"), (host.id, info.id)}
        assert all(row.source == "genai-prices" and row.basis for row in rows)


# What the brief and its cases promise, by name.


def usd(provider: str | None, model: str, at: str, call: Tokens, tier: str | None = None) -> Fraction | None:
    row = pick(list(GenaiPrices().prices(provider, model)), datetime.fromisoformat(at), call.input, tier)
    return None if row is None else cost(row, call)


def test_c09_writes_of_one_hour_cost_twice_the_input() -> None:
    def write(hour: int) -> Fraction | None:
        call = Tokens(input=1_000_000, output=0, cache_write=1_000_000, cache_write_1h=hour)
        return usd("anthropic", "claude-opus-4-6", "2026-11-23T00:00+00:00", call)

    assert write(0) == Fraction("6.25")
    assert write(400_000) == Fraction("7.75")
    assert write(600_000) == Fraction("8.50")


def test_c34_an_unknown_model_or_provider_has_no_price() -> None:
    source = GenaiPrices()
    assert source.prices("openai", "gpt-nobody-knows") == []
    assert source.prices("our-own-gateway", "gpt-4o") == []
    assert source.prices("openai-compatible", "gpt-4o") == []
    assert source.prices("", "gpt-4o") == []
    assert source.prices("litellm", "gpt-4o") == []
    assert source.prices(None, "llama-on-my-laptop") == []
    assert source.prices(None, "") == []


def test_c36_gpt_5_6_sol_got_cheaper_on_2026_08_21() -> None:
    call = Tokens(input=200_000, cache_read=100_000, output=100_000)
    assert usd("openai", "gpt-5.6-sol", "2026-08-20T23:59:59.999+00:00", call) == Fraction("3.55")
    assert usd("openai", "gpt-5.6-sol", "2026-08-21T00:00:00+00:00", call) == Fraction("2.44")


def test_c37_o3_and_opus_4_6_have_a_history() -> None:
    call = Tokens(input=1_000_000, output=0)
    assert usd("openai", "o3", "2025-06-09T23:59+00:00", call) == 10
    assert usd("openai", "o3", "2025-06-10T00:00+00:00", call) == 2
    long = Tokens(input=300_000, output=1_000)
    assert usd("anthropic", "claude-opus-4-6", "2026-03-12T12:00+00:00", long) == Fraction("3.0375")
    assert usd("anthropic", "claude-opus-4-6", "2026-03-13T00:00+00:00", long) == Fraction("1.525")


def test_c43_the_mark_of_claude_code_is_no_other_model() -> None:
    marked = GenaiPrices().prices("anthropic", "claude-sonnet-4-5[1m]")
    plain = GenaiPrices().prices("anthropic", "claude-sonnet-4-5")
    assert {row.model for row in marked} == {"claude-sonnet-4-5[1m]"}
    assert all(row.basis and row.basis.endswith("; looked up without [1m]") for row in marked)
    assert [replace(row, model="", basis="") for row in marked] == [replace(row, model="", basis="") for row in plain]


@pytest.mark.parametrize(
    ("provider", "model", "last_base"),
    [
        ("google", "gemini-2.5-pro", 200_000),
        ("openai", "gpt-5.5", 272_000),
        ("x-ai", "grok-4.5", 199_999),  # xAI: at exactly 200,000 the long band holds
    ],
)
def test_c44_c49_the_long_band_starts_where_its_provider_says(provider: str, model: str, last_base: int) -> None:
    rows = list(GenaiPrices().prices(provider, model))
    at = datetime(2026, 11, 23, tzinfo=UTC)
    base, long = pick(rows, at, last_base), pick(rows, at, last_base + 1)
    assert base is not None
    assert base.above_tokens is None
    assert long is not None
    assert (long.above_tokens, long.comparator) == (last_base, "gt")


def test_c45_the_whole_request_is_at_the_long_price() -> None:
    call = Tokens(input=300_000, output=1_000_000)
    assert usd("anthropic", "claude-sonnet-4-5", "2026-11-23T00:00+00:00", call) == Fraction("1.8") + Fraction("22.5")


def test_c46_cached_tokens_count_towards_the_threshold() -> None:
    call = Tokens(input=278_476, cache_read=7_936, output=0)
    assert usd("openai", "gpt-5.5", "2026-11-23T00:00+00:00", call) == Fraction(270_540 * 10 + 7_936, 10**6)


@pytest.mark.parametrize(
    ("model", "per_million"),
    [
        ("claude-sonnet-4-20250514", 3),
        ("claude-3-opus-20240229", 15),
        ("claude-3-5-sonnet-20241022", 3),
        ("claude-3-7-sonnet-20250219", 3),
        ("claude-3-haiku-20240307", Fraction("0.25")),
    ],
)
def test_c81_retired_models_keep_their_price(model: str, per_million: Fraction) -> None:
    for provider in ("anthropic", None):
        assert usd(provider, model, "2026-11-23T00:00+00:00", Tokens(input=1_000_000, output=0)) == per_million


@pytest.mark.parametrize(
    ("provider", "model", "source_model", "basis"),
    [
        ("azure.ai.openai", "gpt-4o", "gpt-4o", "published by the model's maker, used for azure"),
        ("azure.ai.inference", "gpt-4o", "gpt-4o", "published by the model's maker, used for azure"),
        ("aws.bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", None, "published"),
        ("anthropic_bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", None, "published"),
        ("vertex_ai-anthropic_models", "claude-sonnet-4-5@20250929", None, "published"),
        ("gcp.gen_ai", "gemini-2.5-pro", "gemini-2.5-pro", "published"),
        ("gcp.gemini", "gemini-2.5-pro", "gemini-2.5-pro", "published"),
        ("x_ai", "grok-4.5", "grok-4.5", "published"),
        ("xai", "grok-4.5", "grok-4.5", "published"),
        ("mistral_ai", "mistral-small-latest", None, "published"),
        ("moonshot_ai", "kimi-k2-0905-preview", None, "published"),
        ("litellm", "openai/gpt-4o", "gpt-4o", "published"),
        ("OpenAI", "gpt-4o", "gpt-4o", "published"),
    ],
)
def test_common_provider_names_are_understood(provider: str, model: str, source_model: str | None, basis: str) -> None:
    row = GenaiPrices().prices(provider, model)[0]
    assert (row.provider, row.model, row.basis) == (provider, model, basis)
    assert source_model in (None, row.source_model)


def test_bedrock_regional_profiles_cost_more_than_global_ones() -> None:
    def price(prefix: str) -> int | None:
        return GenaiPrices().prices("aws.bedrock", f"{prefix}.anthropic.claude-sonnet-4-5-20250929-v1:0")[0].input

    assert price("global") == 3_000_000
    assert price("us") == price("eu") == 3_300_000


def test_no_variants_through_a_fallback_provider() -> None:
    rows = GenaiPrices().prices("azure", "claude-opus-4-8")
    assert {(row.service_tier, row.region) for row in rows} == {(None, None)}
    row = pick(list(rows), datetime(2026, 11, 23, tzinfo=UTC), 1_000, "batch")
    assert row is not None
    call = Tokens(input=1_000, output=1_000)
    price = calc_price(
        Usage(input_tokens=1_000, output_tokens=1_000),
        "claude-opus-4-8",
        provider_id="azure",
        price_context={"processing": "batch"},
    )
    assert cost(row, call) == Fraction(price.total_price)


def test_other_units_are_priced_each() -> None:
    (row,) = [row for row in GenaiPrices().prices("openai", "gpt-4.1") if row.service_tier is None]
    assert row.units == {"storage_searches": 2_500_000_000}
    assert row.web_search == 10_000_000_000
    sonar = GenaiPrices().prices("perplexity", "sonar-deep-research")[0]
    assert (sonar.reasoning, sonar.units) == (3_000_000, {"output_citation_tokens": 2_000_000})
    assert GenaiPrices().prices("perplexity", "sonar")[0].request == 12_000_000_000


def test_audio_priced_by_the_hour_is_left_unpriced() -> None:
    assert GenaiPrices().prices("groq", "whisper-large-v3") == []
    assert GenaiPrices().prices("x-ai", "grok-voice-latest") == []


@pytest.mark.parametrize("module", ["genai", "litellm_map"])
def test_the_source_is_registered_by_a_plugin_hook(module: str) -> None:
    plugins = pluggy.PluginManager("agent_ledger")
    plugins.add_hookspecs(hookspecs)
    plugins.register(import_module(f"agent_ledger.prices.{module}"))
    sources: list[hookspecs.PriceSource] = []
    plugins.hook.register_price_sources(register=sources.append)
    expected = {"genai": ("genai-prices", 50, True), "litellm_map": ("litellm", 20, False)}
    assert [(source.name, source.priority, source.dated) for source in sources] == [expected[module]]


def test_importing_the_source_does_not_import_genai_prices() -> None:
    code = "import agent_ledger.prices.genai, sys; sys.exit('genai_prices' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Shapes that the package's data does not have yet.


def made(
    prices: ModelPrice | list[ConditionalPrice], variants: list[PriceVariant] | None = None
) -> list[PriceRevision]:
    info = ModelInfo(id="m", match=ClauseEquals(equals="m"), prices=prices, price_variants=variants)
    return expand(Provider(id="p", name="P", api_pattern="p", models=[info]), info, "p", "m")


def at_price(amount: int, **others: Any) -> ModelPrice:
    return ModelPrice(input_mtok=Decimal(amount), **others)


def shape(rows: list[PriceRevision]) -> list[tuple[str | None, str | None, str | None, str | None, int | None]]:
    return [
        (row.effective_from, row.effective_to, row.time_from, row.time_to, row.input and row.input // 10**6)
        for row in rows
    ]


def test_a_window_that_spans_midnight_is_one_row() -> None:
    window = TimeOfDateConstraint(time(22, 30), time(6, 0))
    rows = made([ConditionalPrice(prices=at_price(4)), ConditionalPrice(window, prices=at_price(1))])
    assert shape(rows) == [(None, None, None, None, 4), (None, None, "22:30", "06:00", 1)]


def test_a_later_window_wins_over_an_earlier_one() -> None:
    rows = made(
        [
            ConditionalPrice(prices=at_price(9)),
            ConditionalPrice(TimeOfDateConstraint(time(8), time(20)), prices=at_price(5)),
            ConditionalPrice(TimeOfDateConstraint(time(10), time(12)), prices=at_price(2)),
        ]
    )
    assert shape(rows) == [
        (None, None, None, None, 9),
        (None, None, "08:00", "10:00", 5),
        (None, None, "10:00", "12:00", 2),
        (None, None, "12:00", "20:00", 5),
    ]


def test_the_first_price_holds_where_none_is_active() -> None:
    rows = made(
        [
            ConditionalPrice(StartDateConstraint(date(2026, 5, 1)), prices=at_price(3)),
            ConditionalPrice(StartDateConstraint(date(2026, 7, 1)), prices=at_price(2)),
        ]
    )
    assert shape(rows) == [
        (None, "2026-07-01T00:00:00.000Z", None, None, 3),
        ("2026-07-01T00:00:00.000Z", None, None, None, 2),
    ]


def test_a_variant_overrides_per_key_and_the_first_match_wins() -> None:
    rows = made(
        at_price(8, output_mtok=Decimal(40)),
        [
            PriceVariant({"processing": "batch"}, at_price(3), StartDateConstraint(date(2026, 5, 1))),
            PriceVariant({"processing": "batch"}, at_price(4, output_mtok=Decimal(20))),
        ],
    )
    batch = [(row.effective_from, row.input, row.output) for row in rows if row.service_tier == "batch"]
    assert batch == [(None, 4_000_000, 20_000_000), ("2026-05-01T00:00:00.000Z", 3_000_000, 20_000_000)]


def test_every_threshold_makes_a_band_with_all_buckets() -> None:
    from genai_prices.types import Tier

    rows = made(
        ModelPrice(
            input_mtok=TieredPrices(base=Decimal(1), tiers=[Tier(100, Decimal(2)), Tier(300, Decimal(3))]),
            output_mtok=TieredPrices(base=Decimal(5), tiers=[Tier(200, Decimal(6))]),
            cache_read_mtok=Decimal("0.1"),
        )
    )
    bands = [(row.above_tokens, row.input, row.output, row.cache_read) for row in rows]
    assert bands == [
        (None, 1_000_000, 5_000_000, 100_000),
        (100, 2_000_000, 5_000_000, 100_000),
        (200, 2_000_000, 6_000_000, 100_000),
        (300, 3_000_000, 6_000_000, 100_000),
    ]


def test_a_model_without_prices_has_no_rows() -> None:
    assert made(ModelPrice()) == []
    assert made([ConditionalPrice(prices=ModelPrice())]) == []


def test_a_forgotten_price_does_not_become_free() -> None:
    with pytest.raises(InvalidPrice, match=r"genai-prices has a price for m whose input is 0"):
        validate(made(at_price(0, output_mtok=Decimal(0))))


def test_noise_is_rounded_to_the_price_that_was_meant() -> None:
    row = GenaiPrices().prices("huggingface_together", "Qwen/Qwen3-VL-8B-Instruct")[0]
    assert row.input == money.picos_per_token("0.18")
