"""LiteLLM's price map, read as a file."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from agent_ledger.errors import ImportFailed, InvalidPrice
from agent_ledger.prices import litellm_map
from agent_ledger.prices.litellm_map import LiteLLMMap
from agent_ledger.prices.rules import validate
from agent_ledger.records import PriceRevision

# Our own small map in LiteLLM's format, at made-up prices.
MAP: dict[str, dict[str, Any]] = {
    "sample_spec": {"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6},
    "claude-test-1": {
        "litellm_provider": "anthropic",
        "input_cost_per_token": 3e-06,
        "output_cost_per_token": 1.5e-05,
        "cache_read_input_token_cost": 3e-07,
        "cache_creation_input_token_cost": 3.75e-06,
        "cache_creation_input_token_cost_above_1hr": 6e-06,
        "input_cost_per_token_above_200k_tokens": 6e-06,
        "output_cost_per_token_above_200k_tokens": 2.25e-05,
        "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-05,
        "input_cost_per_token_batches": 1.5e-06,
        "output_cost_per_token_batches": 7.5e-06,
        "cache_creation_input_token_cost_batches": 1.875e-06,
        "search_context_cost_per_query": {"search_context_size_low": 0.02, "search_context_size_medium": 0.01},
    },
    "gpt-test": {
        "litellm_provider": "openai",
        "input_cost_per_token": 2e-06,
        "output_cost_per_token": 8e-06,
        "input_cost_per_token_flex": 1e-06,
        "input_cost_per_token_priority": 4e-06,
        "output_cost_per_token_priority": 1.6e-05,
        "output_cost_per_reasoning_token": 9e-06,
        "input_cost_per_audio_token": 4e-05,
        "input_cost_per_token_ultrafast": 1,
        "output_cost_per_second": 1,
        "cache_read_input_token_cost_balanced": 1,
    },
    "azure/gpt-test": {"litellm_provider": "azure", "input_cost_per_token": 2.2e-06, "output_cost_per_token": 8.8e-06},
    "vertex_ai/claude-test-1": {
        "litellm_provider": "vertex_ai-anthropic_models",
        "input_cost_per_token": 3.3e-06,
        "output_cost_per_token": 1.65e-05,
    },
    "gemini/gemini-test": {"litellm_provider": "gemini", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
    "vertex_ai/gemini-test": {
        "litellm_provider": "vertex_ai-language-models",
        "input_cost_per_token": 1.1e-06,
        "output_cost_per_token": 2.2e-06,
    },
    "us.anthropic.claude-test-1-v1:0": {
        "litellm_provider": "bedrock_converse",
        "input_cost_per_token": 3.3e-06,
        "output_cost_per_token": 1.65e-05,
    },
    "xai/grok-test": {
        "litellm_provider": "xai",
        "input_cost_per_token": 2e-06,
        "input_cost_per_token_above_200k_tokens": 4e-06,
        "output_cost_per_token": 6e-06,
    },
    "claude-retired": {
        "litellm_provider": "anthropic",
        "input_cost_per_token": 0.0,
        "output_cost_per_token": 0,
        "search_context_cost_per_query": {"search_context_size_medium": 0.01},
    },
    "gpt-negative": {"litellm_provider": "openai", "input_cost_per_token": -1, "output_cost_per_token": -1},
    "dashscope/qwen-test": {
        "litellm_provider": "dashscope",
        "input_cost_per_token": 1e-06,
        "tiered_pricing": [{"range": [0, 32000], "input_cost_per_token": 1e-06}],
    },
    "dashscope/qwen-flat": {"litellm_provider": "dashscope", "input_cost_per_token": 1e-06},
    "image-only": {"litellm_provider": "openai", "output_cost_per_image": 0.04},
    "broken": {"litellm_provider": "openai", "input_cost_per_token": "much", "output_cost_per_token": True},
}


@pytest.fixture
def source(tmp_path: Path) -> LiteLLMMap:
    path = tmp_path / litellm_map.FILE
    path.write_text(json.dumps(MAP), encoding="utf-8")
    return LiteLLMMap(path)


def band(rows: list[PriceRevision], tier: str | None = None, above: int | None = None) -> PriceRevision:
    (row,) = [row for row in rows if (row.service_tier, row.above_tokens) == (tier, above)]
    return row


def test_all_buckets_bands_and_tiers(source: LiteLLMMap) -> None:
    rows = list(source.prices("anthropic", "claude-test-1"))
    assert {(row.service_tier, row.above_tokens) for row in rows} == {
        *((None, None), (None, 200_000), ("batch", None), ("batch", 200_000)),
    }
    assert band(rows) == PriceRevision(
        model="claude-test-1",
        provider="anthropic",
        source="litellm",
        source_model="claude-test-1",
        input=3_000_000,
        output=15_000_000,
        cache_read=300_000,
        cache_write=3_750_000,
        cache_write_1h=6_000_000,
        web_search=10_000_000_000,
        basis="published",
    )
    long = band(rows, above=200_000)
    assert (long.input, long.output, long.cache_read, long.cache_write_1h, long.comparator) == (
        *(6_000_000, 22_500_000, 300_000, 12_000_000, "gt"),
    )
    batch = band(rows, "batch")
    assert (batch.input, batch.cache_read, batch.cache_write, batch.cache_write_1h) == (
        *(1_500_000, 300_000, 1_875_000, 3_000_000),
    )
    assert band(rows, "batch", 200_000).input == 6_000_000  # as LiteLLM: no batch price there, so the standard one
    validate(rows)


def test_what_a_tier_leaves_out_costs_the_standard_price(source: LiteLLMMap) -> None:
    rows = list(source.prices("openai", "gpt-test"))
    assert {row.service_tier for row in rows} == {None, "flex", "priority"}
    assert (band(rows, "flex").input, band(rows, "flex").output) == (1_000_000, 8_000_000)
    assert band(rows).reasoning == 9_000_000
    assert band(rows).units == band(rows, "priority").units == {"input_audio_tokens": 40_000_000}


@pytest.mark.parametrize(
    ("provider", "model", "key", "picos"),
    [
        (None, "gpt-test", "gpt-test", 2_000_000),
        ("openai", "gpt-test", "gpt-test", 2_000_000),
        ("azure", "gpt-test", "azure/gpt-test", 2_200_000),
        ("azure.ai.openai", "gpt-test", "azure/gpt-test", 2_200_000),
        ("azure", "azure/gpt-test", "azure/gpt-test", 2_200_000),
        ("gcp.vertex_ai", "claude-test-1", "vertex_ai/claude-test-1", 3_300_000),
        ("gcp.gemini", "gemini-test", "gemini/gemini-test", 1_000_000),
        ("google", "gemini-test", "gemini/gemini-test", 1_000_000),
        ("vertex_ai", "gemini-test", "vertex_ai/gemini-test", 1_100_000),
        ("aws.bedrock", "us.anthropic.claude-test-1-v1:0", "us.anthropic.claude-test-1-v1:0", 3_300_000),
        ("x_ai", "grok-test", "xai/grok-test", 2_000_000),
        ("dashscope", "qwen-flat", "dashscope/qwen-flat", 1_000_000),
        ("anthropic", "claude-test-1[1m]", "claude-test-1", 3_000_000),
    ],
)
def test_lookup(source: LiteLLMMap, provider: str | None, model: str, key: str, picos: int) -> None:
    row = source.prices(provider, model)[0]
    assert (row.provider, row.model, row.source_model, row.input) == (provider, model, key, picos)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("groq", "gpt-test"),
        ("azure", "claude-test-1"),
        ("anthropic", "gpt-test"),
        ("openai-compatible", "gpt-test"),
        (None, "nobody-knows"),
        (None, "grok-test"),
        ("openai", "sample_spec"),
        (None, "sample_spec"),
        ("dashscope", "qwen-test"),
        ("openai", "image-only"),
        ("openai", "broken"),
    ],
)
def test_unknown(source: LiteLLMMap, provider: str | None, model: str) -> None:
    assert source.prices(provider, model) == []


def test_c44_xai_starts_its_long_band_at_the_threshold(source: LiteLLMMap) -> None:
    assert [(row.above_tokens, row.comparator) for row in source.prices("xai", "grok-test")] == [
        (None, "ge"),
        (200_000, "ge"),
    ]


@pytest.mark.parametrize(("provider", "model"), [("anthropic", "claude-retired"), ("openai", "gpt-negative")])
def test_c57_c81_what_the_map_says_is_refused_by_the_rules(source: LiteLLMMap, provider: str, model: str) -> None:
    rows = source.prices(provider, model)
    assert rows
    with pytest.raises(InvalidPrice):
        validate(rows)


def test_prices_are_read_exactly(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    entry = '{"litellm_provider": "openai", "input_cost_per_token": 0.000000075, "output_cost_per_token": 1.38e-07}'
    path.write_text(f'{{"m": {entry}}}', encoding="utf-8")
    (row,) = LiteLLMMap(path).prices(None, "m")
    assert (row.input, row.output) == (75_000, 138_000)


def test_the_map_is_read_once_and_again_when_it_changed(source: LiteLLMMap, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[object] = []
    real = json.loads

    def counted(*args: Any, **kwargs: Any) -> Any:
        reads.append(args)
        return real(*args, **kwargs)

    monkeypatch.setattr(json, "loads", counted)
    for _ in range(3):
        assert source.prices("openai", "gpt-test")
    assert len(reads) == 1
    path = source._path
    assert path is not None
    path.write_text("{}", encoding="utf-8")
    os.utime(path, ns=(1, 1))
    assert source.prices("openai", "gpt-test") == []
    assert len(reads) == 2


def test_a_broken_map_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text("{", encoding="utf-8")
    for broken in (path, tmp_path / "missing.json"):
        with pytest.raises(ImportFailed, match="reinstall litellm"):
            LiteLLMMap(broken).prices(None, "m")


def test_without_litellm_there_are_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm_map, "find_spec", lambda _: None)
    assert LiteLLMMap().prices("openai", "gpt-4o") == []


def test_the_installed_map_is_found_without_importing_litellm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "litellm"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    (package / litellm_map.FILE).write_text(json.dumps(MAP), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "litellm", raising=False)
    assert LiteLLMMap().prices("openai", "gpt-test")
    assert "litellm" not in sys.modules


def test_the_real_map_agrees_with_genai_prices_on_undisputed_models() -> None:
    if litellm_map.installed() is None:
        pytest.skip("litellm is not installed, so there is no real map to compare with")
    from agent_ledger.prices.genai import GenaiPrices

    for provider, model in (("anthropic", "claude-opus-4-6"), ("openai", "gpt-4o"), ("gemini", "gemini-2.5-pro")):
        theirs = band(list(LiteLLMMap().prices(provider, model)))
        rows = [row for row in GenaiPrices().prices(provider, model) if row.region is None and not row.effective_to]
        ours = band(rows)
        assert (theirs.input, theirs.output, theirs.cache_read) == (ours.input, ours.output, ours.cache_read)
