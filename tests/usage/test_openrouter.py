"""OpenRouter: OpenAI's shapes with a cost, and with parts that do not always fit."""

from __future__ import annotations

from typing import Any

import pytest

from agent_ledger.errors import UnknownUsage
from agent_ledger.usage import inferences, inferences_from_events


def body(**usage: Any) -> dict[str, Any]:
    counts = {"prompt_tokens": 480, "completion_tokens": 33, "total_tokens": 513, **usage}
    return {"id": "gen-1", "object": "chat.completion", "model": "a/b", "provider": "X", "choices": [], "usage": counts}


@pytest.mark.parametrize(
    ("cost", "byok", "upstream", "expected"),
    [
        (0.0002, False, 0.0002, 0.0002),  # C84: adding them would double it
        (0.0002, None, 0.0002, 0.0002),
        (0.0145476, None, 0.0001776, 0.0145476),  # a plugin's fee is inside
        (0, True, 0.0002265, 0.0002265),
        (0.00001, True, 0.0002, 0.00021),
        (0, True, None, None),  # the fee is known, the model's price is not
        (0, False, None, 0.0),
        (None, False, 0.1, None),
    ],
)
def test_c55_c84_what_it_cost(cost: float | None, byok: bool | None, upstream: float | None, expected: float) -> None:
    (one,) = inferences(body(cost=cost, is_byok=byok, cost_details={"upstream_inference_cost": upstream}))
    assert one.reported_cost_usd == (None if expected is None else pytest.approx(expected, rel=1e-12))
    assert (one.provider, one.prompt_tokens, one.model) == ("openrouter", 480, "a/b")


def test_c83_cache_parts_that_exceed_the_prompt() -> None:
    details = {"cached_tokens": 2161, "cache_write_tokens": 2161, "audio_tokens": 3}
    usage = {"prompt_tokens": 2168, "completion_tokens": 100, "total_tokens": 2268, "prompt_tokens_details": details}
    (one,) = inferences(body(**usage, cost=0.0004970133333333333))
    assert (one.prompt_tokens, one.completion_tokens) == (2168, 100)
    assert (one.cache_read_tokens, one.cache_write_tokens) == (None, None)
    assert one.anomaly == "2161 cache reads and 2161 cache writes exceed 2168 input tokens"
    assert one.reported_cost_usd == 0.0004970133333333333
    assert one.usage == {"input_audio_tokens": 3}, "the other units stay"


def test_c83_reasoning_that_exceeds_the_completion() -> None:
    (one,) = inferences(body(completion_tokens_details={"reasoning_tokens": 34}))
    assert (one.completion_tokens, one.reasoning_tokens) == (33, None)
    assert one.anomaly == "34 reasoning tokens exceed 33 output tokens"


def test_searches() -> None:
    (one,) = inferences(body(server_tool_use_details={"web_search_requests": 2}))
    assert one.web_search_requests == 2


def test_streams() -> None:
    first = {"id": "gen-1", "object": "chat.completion.chunk", "model": "a/b", "provider": "X", "choices": []}
    usage = body(cost=0.5, is_byok=False)["usage"]
    (one,) = inferences_from_events([first, {**first, "usage": usage}])
    assert (one.provider, one.reported_cost_usd, one.evidence) == ("openrouter", 0.5, "stream")
    tokens = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "cost": 0.25}
    answer = {"id": "gen-2", "object": "response", "model": "a/b", "status": "completed", "usage": tokens}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**answer, "usage": None}},
        {"type": "response.completed", "response": answer},
    ]
    (one,) = inferences_from_events(events)
    assert (one.provider, one.reported_cost_usd, one.prompt_tokens) == ("openrouter", 0.25, 1)


def test_a_given_provider_wins() -> None:
    assert inferences(body(cost=1), "my-router")[0].provider == "my-router"


def test_without_its_marks_nobody_is_named() -> None:
    plain = body()
    del plain["provider"]
    assert inferences(plain)[0].provider is None
    assert inferences({**plain, "model": "gpt-5"})[0].provider == "openai"


@pytest.mark.parametrize("cost", [-0.1, float("nan"), float("inf"), "0.1", True])
def test_a_cost_that_is_none_is_refused(cost: object) -> None:
    with pytest.raises(UnknownUsage, match=r"^cost is "):
        inferences(body(cost=cost))
