"""Gemini: thoughts and tool tokens on top, cached ones inside, the last chunk of a stream."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_ledger.errors import UnknownUsage
from agent_ledger.records import Inference
from agent_ledger.usage import inferences, inferences_from_events

COUNTS = st.integers(0, 10**8)


def body(model: str = "gemini-2.5-flash", grounding: Any = None, **usage: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": []}, "finishReason": "STOP"}
    if grounding is not None:
        candidate["groundingMetadata"] = {"webSearchQueries": grounding}
    return {"candidates": [candidate], "modelVersion": model, "responseId": "r1", "usageMetadata": usage}


def read(**usage: Any) -> Inference:
    (one,) = inferences(body(**usage))
    return one


def test_c13_cached_inside_thoughts_on_top() -> None:
    one = read(
        promptTokenCount=100_000,
        cachedContentTokenCount=90_000,
        candidatesTokenCount=50,
        thoughtsTokenCount=500,
        toolUsePromptTokenCount=770,
        totalTokenCount=101_320,
    )
    assert (one.prompt_tokens, one.cache_read_tokens) == (100_770, 90_000)
    assert (one.completion_tokens, one.reasoning_tokens, one.anomaly) == (550, 500, None)
    assert (one.provider, one.model, one.response_id, one.evidence) == ("google", "gemini-2.5-flash", "r1", "response")


def test_c85_the_total_tells_where_thoughts_are() -> None:
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 50, "thoughtsTokenCount": 20}
    assert read(**usage, totalTokenCount=80).completion_tokens == 70
    assert read(**usage, totalTokenCount=60).completion_tokens == 50, "the candidates include them"
    assert read(**usage).completion_tokens == 70
    odd = read(**usage, totalTokenCount=99)
    assert (odd.completion_tokens, odd.anomaly) == (
        70,
        "the total is 99, but 10 input and 70 output tokens were reported",
    )


def test_a_zero_is_left_out_in_protobuf() -> None:
    one = read(promptTokenCount=10, totalTokenCount=10)
    assert (one.prompt_tokens, one.completion_tokens, one.anomaly) == (10, 0, None)


def test_cached_tokens_that_exceed_the_prompt() -> None:
    one = read(promptTokenCount=10, cachedContentTokenCount=11, candidatesTokenCount=1, totalTokenCount=11)
    assert (one.prompt_tokens, one.cache_read_tokens) == (10, None)
    assert one.anomaly == "11 cached tokens exceed the 10 tokens of the prompt"


def test_modalities() -> None:
    one = read(
        promptTokenCount=1000,
        cachedContentTokenCount=100,
        candidatesTokenCount=40,
        totalTokenCount=1040,
        promptTokensDetails=[
            {"modality": "TEXT", "tokenCount": 100},
            {"modality": "IMAGE", "tokenCount": 258},
            {"modality": "DOCUMENT", "tokenCount": 42},
            {"modality": "VIDEO", "tokenCount": 500},
            {"modality": "AUDIO", "tokenCount": 100},
        ],
        cacheTokensDetails=[{"modality": "IMAGE", "tokenCount": 60}],
        candidatesTokensDetails=[{"modality": "AUDIO", "tokenCount": 40}],
    )
    assert one.usage == {
        "input_image_tokens": 300,
        "input_video_tokens": 500,
        "input_audio_tokens": 100,
        "cache_image_read_tokens": 60,
        "output_audio_tokens": 40,
    }
    assert read(promptTokenCount=1, promptTokensDetails=[{"modality": 1, "tokenCount": 1}]).usage is None
    assert read(promptTokenCount=9, promptTokensDetails=[{"modality": 4, "tokenCount": 9}]).usage == {
        "input_audio_tokens": 9
    }


@pytest.mark.parametrize(
    ("fields", "tier"),
    [
        ({"serviceTier": "standard"}, "standard"),
        ({"trafficType": "ON_DEMAND"}, "on_demand"),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned_throughput"),
        ({"trafficType": 1}, "on_demand"),
        ({"trafficType": "TRAFFIC_TYPE_UNSPECIFIED"}, None),
        ({}, None),
    ],
)
def test_tier(fields: dict[str, Any], tier: str | None) -> None:
    assert read(promptTokenCount=1, **fields).service_tier == tier


@pytest.mark.parametrize(
    ("model", "queries", "searches"),
    [
        ("gemini-2.5-flash", ["a", "b"], 1),
        ("gemini-3-flash-preview", ["a", "b", "a", ""], 2),
        ("gemini-3-flash-preview", [], None),
        ("gemini-3-flash-preview", None, None),
    ],
)
def test_searches(model: str, queries: list[str] | None, searches: int | None) -> None:
    (one,) = inferences(body(model, queries, promptTokenCount=1))
    assert one.web_search_requests == searches


def chunk(finish: str | None = None, **usage: Any) -> dict[str, Any]:
    candidate = {"content": {}} if finish is None else {"content": {}, "finishReason": finish}
    return {"candidates": [candidate], "modelVersion": "gemini-3", "responseId": "r1", "usageMetadata": usage}


def test_the_last_chunk_as_a_whole() -> None:
    """Neither the sum nor the largest of each count: totals may fall (formats.md 2.3)."""
    events = [
        chunk(trafficType="ON_DEMAND"),
        chunk(promptTokenCount=15, toolUsePromptTokenCount=900, candidatesTokenCount=29, totalTokenCount=944),
        chunk("STOP", promptTokenCount=15, candidatesTokenCount=37, thoughtsTokenCount=8, totalTokenCount=60),
    ]
    (one,) = inferences_from_events(events)
    assert (one.prompt_tokens, one.completion_tokens, one.evidence, one.anomaly) == (15, 45, "stream", None)
    assert inferences(events) == [one], "without SSE the chunks come as a JSON list"


def test_streams_that_broke_off() -> None:
    (one,) = inferences_from_events([chunk(promptTokenCount=8, candidatesTokenCount=2, totalTokenCount=10)])
    assert (one.completion_tokens, one.evidence) == (2, "partial")
    (one,) = inferences_from_events([chunk(trafficType="ON_DEMAND")])
    assert (one.prompt_tokens, one.completion_tokens, one.evidence) == (None, None, "partial")
    assert one.service_tier == "on_demand"


def test_a_blocked_prompt() -> None:
    blocked = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "modelVersion": "m",
        "usageMetadata": {"promptTokenCount": 9},
    }
    (one,) = inferences(blocked)
    assert (one.prompt_tokens, one.completion_tokens) == (9, 0)
    assert inferences_from_events([blocked])[0].evidence == "stream"


def test_snake_case_as_the_sdk_dumps_it() -> None:
    usage = {
        "prompt_token_count": 10,
        "candidates_token_count": 5,
        "thoughts_token_count": 2,
        "tool_use_prompt_token_count": 3,
        "cached_content_token_count": 4,
        "total_token_count": 20,
        "prompt_tokens_details": [{"modality": "AUDIO", "token_count": 6}],
        "traffic_type": "ON_DEMAND",
    }
    (one,) = inferences({"candidates": [], "model_version": "m", "response_id": "r", "usage_metadata": usage})
    assert (one.prompt_tokens, one.completion_tokens, one.cache_read_tokens, one.reasoning_tokens) == (13, 7, 4, 2)
    assert (one.usage, one.service_tier, one.response_id) == ({"input_audio_tokens": 6}, "on_demand", "r")


def test_enums_as_the_sdk_dumps_them() -> None:
    class Modality(str, Enum):  # noqa: UP042 (as google-genai has it; a StrEnum prints differently)
        AUDIO = "AUDIO"

    class Traffic(str, Enum):  # noqa: UP042
        ON_DEMAND = "ON_DEMAND"

    details = [{"modality": Modality.AUDIO, "token_count": 6}]
    usage = {"prompt_token_count": 10, "prompt_tokens_details": details, "traffic_type": Traffic.ON_DEMAND}
    (one,) = inferences({"candidates": [], "model_version": "m", "usage_metadata": usage})
    assert one.usage == {"input_audio_tokens": 6}
    assert (one.service_tier, type(one.service_tier)) == ("on_demand", str)


def test_no_usage_is_unknown_not_zero() -> None:
    (one,) = inferences({"candidates": [{}], "modelVersion": "m"})
    assert (one.prompt_tokens, one.completion_tokens) == (None, None)


def test_embeddings() -> None:
    (one,) = inferences({"embedding": {"values": [0.1]}}, model="gemini-embedding")
    assert (one.prompt_tokens, one.completion_tokens, one.model) == (None, 0, "gemini-embedding")
    counted = {"embeddings": [{"values": [0.1]}], "usageMetadata": {"promptTokenCount": 4}}
    assert inferences(counted, model="gemini-embedding")[0].prompt_tokens == 4


@pytest.mark.parametrize(
    "answer",
    [
        {"totalTokens": 12, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12}]},
        {"name": "cachedContents/1", "model": "models/gemini", "usageMetadata": {"totalTokenCount": 3512}},
        {"name": "operations/1", "done": False},
        {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}},
        {"models": [{"name": "models/gemini"}]},
    ],
)
def test_what_is_no_inference(answer: dict[str, Any]) -> None:
    assert inferences(answer) == []


@pytest.mark.parametrize("value", [-1, 1.5, "7", False])
def test_a_count_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(UnknownUsage, match=r"^thoughtsTokenCount is "):
        read(promptTokenCount=1, thoughtsTokenCount=value)


@given(own=COUNTS, tool=COUNTS, visible=COUNTS, thoughts=COUNTS, data=st.data())
def test_any_counts_close(own: int, tool: int, visible: int, thoughts: int, data: st.DataObject) -> None:
    cached = data.draw(st.integers(0, own))
    one = read(
        promptTokenCount=own,
        toolUsePromptTokenCount=tool,
        candidatesTokenCount=visible,
        thoughtsTokenCount=thoughts,
        cachedContentTokenCount=cached,
        totalTokenCount=own + tool + visible + thoughts,
    )
    assert (one.prompt_tokens, one.completion_tokens, one.anomaly) == (own + tool, visible + thoughts, None)
    assert (one.cache_read_tokens, one.reasoning_tokens) == (cached, thoughts)


@given(st.lists(st.integers(0, 10**6), min_size=6, max_size=6))
def test_parts_never_exceed_their_whole(numbers: list[int]) -> None:
    names = ("promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    usage = dict(zip((*names, "cachedContentTokenCount", "totalTokenCount"), numbers, strict=True))
    one = read(**usage)
    assert one.prompt_tokens is not None
    assert one.completion_tokens is not None
    assert (one.cache_read_tokens or 0) <= usage["promptTokenCount"]
    assert (one.reasoning_tokens or 0) <= one.completion_tokens
    assert one.anomaly or one.prompt_tokens + one.completion_tokens == usage["totalTokenCount"]
