"""Bedrock Converse decides by the total; InvokeModel returns the vendors' own bodies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_ledger.errors import UnknownUsage
from agent_ledger.records import Inference
from agent_ledger.usage import inferences, inferences_from_events

COUNTS = st.integers(0, 10**8)
METRICS = "amazon-bedrock-invocationMetrics"


def body(**usage: Any) -> dict[str, Any]:
    return {"output": {"message": {}}, "stopReason": "end_turn", "metrics": {"latencyMs": 1}, "usage": usage}


def read(**usage: Any) -> Inference:
    (one,) = inferences(body(**usage), model="claude")
    return one


def test_c85_cache_beside_the_input() -> None:
    """The numbers of 0070.json."""
    one = read(
        inputTokens=3,
        cacheReadInputTokens=1712,
        cacheReadInputTokenCount=1712,
        cacheWriteInputTokens=236,
        cacheDetails=[{"ttl": "5m", "inputTokens": 236}],
        outputTokens=121,
        totalTokens=2072,
    )
    assert (one.prompt_tokens, one.completion_tokens, one.anomaly) == (1951, 121, None)
    assert (one.cache_read_tokens, one.cache_write_tokens, one.cache_write_1h_tokens) == (1712, 236, 0)
    assert (one.provider, one.model, one.evidence) == ("aws", "claude", "response")


def test_c14_cache_inside_the_input() -> None:
    one = read(inputTokens=1000, cacheReadInputTokens=900, outputTokens=10, totalTokens=1010)
    assert (one.prompt_tokens, one.cache_read_tokens, one.anomaly) == (1000, 900, None)


def test_a_total_that_fits_neither_reading_is_named() -> None:
    one = read(inputTokens=10, cacheReadInputTokens=5, outputTokens=1, totalTokens=99)
    assert one.prompt_tokens == 15
    assert one.anomaly == "the total is 99, but 10 input, 5 cached and 1 output tokens were reported"
    odd = read(inputTokens=10, cacheReadInputTokens=5, outputTokens=1)
    assert odd.prompt_tokens == 15
    assert "no total tells" in (odd.anomaly or "")
    assert read(inputTokens=10, outputTokens=1).anomaly is None


def test_cache_inside_that_is_larger_than_the_input() -> None:
    one = read(inputTokens=10, cacheReadInputTokens=11, outputTokens=1, totalTokens=11)
    assert (one.prompt_tokens, one.cache_read_tokens) == (10, None)
    assert one.anomaly == "11 cache reads and 0 cache writes exceed 10 input tokens"


def test_c09_writes_of_one_hour() -> None:
    details = [{"ttl": "1h", "inputTokens": 400}, {"ttl": "5m", "inputTokens": 600}]
    one = read(inputTokens=1, cacheWriteInputTokens=1000, cacheDetails=details, outputTokens=1, totalTokens=1002)
    assert (one.cache_write_tokens, one.cache_write_1h_tokens, one.anomaly) == (1000, 400, None)


def test_c10_a_split_that_exceeds_the_total() -> None:
    details = [{"ttl": "1h", "inputTokens": 400}, {"ttl": "5m", "inputTokens": 700}]
    one = read(inputTokens=1, cacheWriteInputTokens=1000, cacheDetails=details, outputTokens=1, totalTokens=1002)
    assert (one.cache_write_tokens, one.cache_write_1h_tokens) == (1000, None)
    assert "exceed all 1000" in (one.anomaly or "")


def test_what_stands_beside_the_usage() -> None:
    answer = {
        **body(inputTokens=1, outputTokens=2, totalTokens=3),
        "serviceTier": {"type": "flex"},
        "trace": {"promptRouter": {"invokedModelId": "arn:aws:bedrock:::nova"}},
        "ResponseMetadata": {"RequestId": "r1"},
    }
    (one,) = inferences(answer, model="the router")
    assert (one.service_tier, one.model, one.response_id) == ("flex", "arn:aws:bedrock:::nova", "r1")


def test_the_model_is_asked_for() -> None:
    with pytest.raises(UnknownUsage, match="give the model of the request"):
        inferences(body(inputTokens=1, outputTokens=1))


@pytest.mark.parametrize("decoded", [True, False])
def test_converse_stream(decoded: bool) -> None:
    usage = {"inputTokens": 13, "outputTokens": 82, "totalTokens": 95}
    events: list[dict[str, Any]] = [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "x"}, "contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": usage, "metrics": {"latencyMs": 1}}},
    ]
    if not decoded:  # on the wire the name of an event stands in a header
        events = [next(iter(event.values())) | {"p": "abc"} for event in events]
    (one,) = inferences_from_events(events, model="nova")
    assert (one.prompt_tokens, one.completion_tokens, one.evidence, one.provider) == (13, 82, "stream", "aws")
    (cut,) = inferences_from_events(events[:2], model="nova")
    assert (cut.prompt_tokens, cut.completion_tokens, cut.evidence) == (None, None, "partial")


def test_invoke_streams_end_with_metrics() -> None:
    metrics = {"inputTokenCount": 5, "outputTokenCount": 10, "invocationLatency": 6, "firstByteLatency": 6}
    titan = {"outputText": "x", "inputTextTokenCount": 5, "totalOutputTextTokenCount": 10, METRICS: metrics}
    (one,) = inferences_from_events([titan], model="titan")
    assert (one.prompt_tokens, one.completion_tokens, one.evidence) == (5, 10, "stream")


def test_claude_on_invoke_is_anthropics() -> None:
    message = {"type": "message", "model": "claude", "content": [], "usage": {"input_tokens": 37, "output_tokens": 8}}
    (one,) = inferences(message, "aws")
    assert (one.prompt_tokens, one.provider) == (37, "aws")


@pytest.mark.parametrize(
    ("answer", "prompt", "completion"),
    [
        ({"generation": "x", "prompt_token_count": 8, "generation_token_count": 35, "stop_reason": "stop"}, 8, 35),
        ({"inputTextTokenCount": 5, "results": [{"tokenCount": 7, "outputText": "x"}]}, 5, 7),
        ({"embedding": [0.1], "embeddingsByType": {}, "inputTextTokenCount": 5}, 5, 0),
        ({"id": "1", "generations": [{"text": "x"}], "prompt": "p"}, None, None),
        ({"id": "1", "embeddings": [[0.1]], "texts": ["x"], "response_type": "embeddings_floats"}, None, 0),
        ({"outputs": [{"text": "x", "stop_reason": "length"}]}, None, None),
    ],
)
def test_other_vendors_on_invoke(answer: dict[str, Any], prompt: int | None, completion: int | None) -> None:
    (one,) = inferences(answer, model="m")
    assert (one.prompt_tokens, one.completion_tokens, one.provider) == (prompt, completion, "aws")


def test_what_is_no_inference() -> None:
    assert inferences({"inputTokens": 375}) == []
    assert inferences({"message": "Too many requests"}) == []


@pytest.mark.parametrize("value", [-1, 1.5, "7", True])
def test_a_count_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(UnknownUsage, match=r"^cacheReadInputTokens is "):
        read(inputTokens=1, outputTokens=1, cacheReadInputTokens=value)


@given(fresh=COUNTS, cached=COUNTS, written=COUNTS, output=COUNTS, inclusive=st.booleans())
def test_any_counts_close(fresh: int, cached: int, written: int, output: int, inclusive: bool) -> None:
    prompt = fresh + cached + written
    one = read(
        inputTokens=prompt if inclusive else fresh,
        cacheReadInputTokens=cached,
        cacheWriteInputTokens=written,
        outputTokens=output,
        totalTokens=prompt + output,
    )
    assert (one.prompt_tokens, one.completion_tokens, one.anomaly) == (prompt, output, None)
    assert (one.cache_read_tokens, one.cache_write_tokens) == (cached, written)


@given(st.lists(st.integers(0, 10**6), min_size=5, max_size=5))
def test_parts_never_exceed_their_whole(numbers: list[int]) -> None:
    names = ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "outputTokens", "totalTokens")
    usage = dict(zip(names, numbers, strict=True))
    one = read(**usage)
    assert one.prompt_tokens is not None
    assert one.completion_tokens is not None
    assert (one.cache_read_tokens or 0) + (one.cache_write_tokens or 0) <= one.prompt_tokens
    assert one.anomaly or one.prompt_tokens + one.completion_tokens == usage["totalTokens"]
