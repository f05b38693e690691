"""Every recorded response of shared/samples, against what the real SDKs made of it and against its own totals.

What is expected here is computed without the code under test: from the SDKs' result (`sdk_usage_oracle.jsonl`), or
from the recorded JSON.
"""

from __future__ import annotations

import base64
import json
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_ledger.records import Inference
from agent_ledger.usage import inferences, inferences_from_events, sse_events

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples" / "llm_responses"

pytestmark = pytest.mark.skipif(
    not (SAMPLES / "index.jsonl").is_file(), reason=f"the recorded responses are not at {SAMPLES}"
)

# Answers with status 200 that are no inference, and why.
NO_INFERENCE = {
    "azure_openai/0005.json": "the secret of a realtime session",
    "azure_openai/0054.json": "an error with status 200",
    "bedrock/0080.json": "count-tokens",
    "bedrock/0132.json": "count-tokens",
    "google/0084.json": "a file search store",
    "google/0120.json": "countTokens",
    "google/0477.json": "cached content that was stored",
    "openai/0326.json": "a background response, queued",
    "openai/0335.json": "a background response, in progress",
    "openai/0478.json": "responses/input_tokens",
}
NOT_JSON = {"azure_openai/0008.json"}  # status 201: the SDP answer of a WebRTC call
# The only bodies that do not close (peers.md C83).
CONTRADICTORY = {
    "openrouter/0019.sse": "11 reasoning tokens exceed 10 output tokens",
    "openrouter/0046.json": "2161 cache reads and 2161 cache writes exceed 2168 input tokens",
}
# Without counts: two bodies of InvokeModel and an embedding, whose counts stand in response headers.
HEADERS_ONLY = {"bedrock/0001.json", "bedrock/0321.json", "bedrock/0369.json"}
BROKEN_OFF = {"groq/0037.sse"}  # an error event ends it


def lines(name: str) -> list[dict[str, Any]]:
    path = SAMPLES / name
    # Not str.splitlines: it also breaks inside JSON strings.
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line] if path.is_file() else []


INDEX = {row["file"]: row for row in lines("index.jsonl")}
ORACLE = {row["file"]: row for row in lines("sdk_usage_oracle.jsonl")}
BILLED = {row["file"]: row for row in ORACLE.values() if row.get("usage")}
FILES = [name for name in INDEX if name not in NOT_JSON]


def aws_events(data: bytes) -> Iterator[dict[str, Any]]:
    """The payloads of application/vnd.amazon.eventstream; InvokeModel wraps its own JSON once more."""
    start = 0
    while start < len(data):
        length, headers = struct.unpack_from(">II", data, start)
        payload = json.loads(data[start + 12 + headers : start + length - 4])
        yield json.loads(base64.b64decode(payload["bytes"])) if "bytes" in payload else payload
        start += length


def events(name: str) -> list[dict[str, Any]]:
    data = (SAMPLES / name).read_bytes()
    return sse_events(data) if name.endswith(".sse") else list(aws_events(data))


def found(name: str) -> list[Inference]:
    model = INDEX[name]["req_model"] or INDEX[name]["uri"]  # Bedrock's is in the address
    if name.endswith(".json"):
        return inferences(json.loads((SAMPLES / name).read_bytes()), model=model)
    return inferences_from_events(events(name), model=model)


def sum_of(one: Inference) -> int | None:
    return (
        None
        if one.prompt_tokens is None or one.completion_tokens is None
        else one.prompt_tokens + one.completion_tokens
    )


def test_nothing_is_missing() -> None:
    assert len(INDEX) == 462
    assert set(INDEX) == {
        path.relative_to(SAMPLES).as_posix() for path in SAMPLES.glob("*/*") if path.parent.name != "schemas"
    }
    assert len(ORACLE) == 153
    assert len(BILLED) == 133
    assert Counter(Path(name).suffix for name in FILES) == {".json": 380, ".sse": 76, ".bin": 5}
    answered = [name for name in FILES if INDEX[name]["status"] == 200]
    counted = sum(len(found(name)) for name in answered)
    # 10 of them are no inference, and 6 hold 9 iterations more.
    assert (len(answered), len(NO_INFERENCE), counted) == (447, 10, 446)


@pytest.mark.parametrize("name", FILES)
def test_every_file_gives_inferences_or_is_known_to_be_none(name: str) -> None:
    records = found(name)
    if INDEX[name]["status"] != 200 or name in NO_INFERENCE:
        assert records == []
        return
    assert records, "no inference, and not in the list of those that are none"
    assert [one.part for one in records] == list(range(len(records)))
    assert "; ".join(one.anomaly for one in records if one.anomaly) == CONTRADICTORY.get(name, "")
    expected = "response" if name.endswith(".json") else "partial" if name in BROKEN_OFF else "stream"
    for one in records:
        assert one.model
        assert one.evidence == expected
        assert (one.cache_read_tokens or 0) + (one.cache_write_tokens or 0) <= (one.prompt_tokens or 0)
        assert (one.cache_write_1h_tokens or 0) <= (one.cache_write_tokens or 0)
        assert (one.reasoning_tokens or 0) <= (one.completion_tokens or 0)


def expected_anthropic(usage: dict[str, Any]) -> list[tuple[object, ...]]:
    split = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
    rows: list[tuple[object, ...]] = []
    for one in usage["iterations"] or [usage]:
        cached, written = one["cache_read_input_tokens"] or 0, one["cache_creation_input_tokens"] or 0
        if one["cache_creation"]:
            assert sum(one["cache_creation"][name] for name in split) == written
        prompt = one["input_tokens"] + cached + written
        hour = (one["cache_creation"] or {}).get("ephemeral_1h_input_tokens", 0)
        rows.append((one.get("model"), prompt, one["output_tokens"], cached, written, hour))
    return rows


@pytest.mark.parametrize("name", [name for name in BILLED if name.startswith("anthropic/")])
def test_anthropic_as_its_sdk_says(name: str) -> None:
    row = BILLED[name]
    usage = row["usage"]
    records = found(name)
    assert [
        (
            None if one.model == row["model"] else one.model,
            one.prompt_tokens,
            one.completion_tokens,
            one.cache_read_tokens or 0,
            one.cache_write_tokens or 0,
            one.cache_write_1h_tokens or 0,
        )
        for one in records
    ] == expected_anthropic(usage)
    geo = None if usage["inference_geo"] == "not_available" else usage["inference_geo"]
    for one in records:
        assert (one.response_id, one.service_tier, one.region) == (row["id"], usage["service_tier"], geo)
    searches = (usage["server_tool_use"] or {}).get("web_search_requests", 0)
    assert sum(one.web_search_requests or 0 for one in records) == searches
    if not usage["iterations"]:
        (one,) = records
        assert one.reasoning_tokens == (usage["output_tokens_details"] or {}).get("thinking_tokens")


@pytest.mark.parametrize("name", [name for name in BILLED if name.startswith("openai/")])
def test_openai_as_its_sdk_says(name: str) -> None:
    row = BILLED[name]
    usage = row["usage"]
    (one,) = found(name)
    embedding = row["api"] == "embeddings"
    inside = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    outside = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
    assert one.prompt_tokens == usage.get("prompt_tokens", usage.get("input_tokens"))
    assert one.completion_tokens == (0 if embedding else usage.get("completion_tokens", usage.get("output_tokens")))
    assert sum_of(one) == usage["total_tokens"]
    assert one.cache_read_tokens == inside.get("cached_tokens")
    assert one.cache_write_tokens == inside.get("cache_write_tokens")
    assert one.reasoning_tokens == outside.get("reasoning_tokens")
    assert (one.model, one.response_id) == (row["model"], row.get("id"))
    if "service_tier" in row:
        assert one.service_tier == row["service_tier"]


def test_streams_without_usage_are_unknown_in_the_sdk_and_here() -> None:
    silent = [name for name, row in ORACLE.items() if row["ext"] == "sse" and not row.get("usage")]
    assert len(silent) == 8
    for name in silent:
        (one,) = found(name)
        assert (one.prompt_tokens, one.completion_tokens, one.evidence) == (None, None, "stream")


def totals(name: str) -> list[int]:
    """The provider's own total in each usage object of a file, in order, by searching all of its JSON."""
    names = ("total_tokens", "totalTokens", "totalTokenCount")

    def search(value: Any) -> Iterator[int]:
        if isinstance(value, dict):
            # What a tool used is beside the response's usage; countTokens' details have no total.
            yield from (value[key] for key in names if value.get(key) is not None)
            for key, inner in value.items():
                if key not in ("tool_usage", "content", "output_text"):
                    yield from search(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from search(inner)

    if name.endswith(".bin"):
        return [total for event in events(name) for total in search(event)]
    text = (SAMPLES / name).read_text(encoding="utf-8")
    if name.endswith(".json"):
        return list(search(json.loads(text)))
    payloads = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [total for payload in payloads if payload != "[DONE]" for total in search(json.loads(payload))]


def test_every_provider_total_closes() -> None:
    """prompt + completion is the total that the provider gave last: also for the providers without an oracle."""
    closed: Counter[str] = Counter()
    for name in FILES:
        records = found(name)
        given = totals(name)
        if not records or not given:
            continue
        assert len(records) == 1
        assert sum_of(records[0]) == given[-1], name
        closed[name.split("/")[0]] += 1
    assert closed == {
        "azure_openai": 24,
        "bedrock": 41,
        "deepseek": 14,
        "google": 61,
        "groq": 43,
        "mistral": 45,
        "openai": 66,
        "openrouter": 39,
    }


def test_what_is_unknown_is_known_to_be() -> None:
    unknown = {name for name in FILES if any(one.prompt_tokens is None for one in found(name))}
    streams = {name for name in unknown if name.endswith(".sse")}
    assert unknown - streams == HEADERS_ONLY
    assert all(totals(name) == [] for name in streams)
    assert len(streams) == 24


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(".json")])
def test_repeated_events_change_nothing(name: str) -> None:
    model = INDEX[name]["req_model"] or INDEX[name]["uri"]
    given = events(name)
    once = inferences_from_events(given, model=model)
    assert inferences_from_events([event for event in given for _ in range(2)], model=model) == once


def test_c55_c84_openrouter_costs() -> None:
    costs: dict[str, float | None] = {}
    for name in FILES:
        if name.startswith("openrouter/") and name.endswith(".json") and INDEX[name]["status"] == 200:
            usage = json.loads((SAMPLES / name).read_bytes())["usage"]
            (one,) = found(name)
            assert one.provider == "openrouter"
            cost, upstream = usage.get("cost"), (usage.get("cost_details") or {}).get("upstream_inference_cost")
            assert one.reported_cost_usd == (cost + upstream if usage.get("is_byok") else cost)
            costs[name] = one.reported_cost_usd
    assert sum(cost is not None for cost in costs.values()) == 24
    assert costs["openrouter/0015.json"] == 0.0002265, "with a key of one's own"


@pytest.mark.parametrize(
    ("name", "prompt", "tier"),
    [("anthropic/0182.sse", 22_397, 7466), ("anthropic/0202.sse", 7621, 1906), ("anthropic/0045.sse", 1591, 796)],
)
def test_c76_c77_server_tools(name: str, prompt: int, tier: int) -> None:
    (one,) = found(name)
    assert (one.prompt_tokens, one.tier_tokens) == (prompt, tier)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("anthropic/0115.json", [("", 1128, 110), ("claude-opus-4-8", 2518, 22), ("", 1262, 11)]),
        ("anthropic/0119.sse", [("", 1128, 135), ("claude-opus-4-8", 2543, 18), ("", 1283, 10)]),
        ("anthropic/0129.json", [("", 55_196, 125), ("", 220, 8)]),
        ("anthropic/0132.json", [("", 55_196, 131), ("", 229, 5)]),
        ("anthropic/0133.sse", [("", 55_196, 83), ("", 181, 8)]),
    ],
)
def test_c78_c79_c80_iterations(name: str, parts: list[tuple[str, int, int]]) -> None:
    main = BILLED[name]["model"]
    assert [(one.model, one.prompt_tokens, one.completion_tokens) for one in found(name)] == [
        (model or main, prompt, completion) for model, prompt, completion in parts
    ]
