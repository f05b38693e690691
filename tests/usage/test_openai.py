"""OpenAI Chat Completions, Responses, Embeddings, and the vendors that speak them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_ledger.errors import UnknownUsage
from agent_ledger.records import Inference
from agent_ledger.usage import inferences, inferences_from_events


def chat(usage: Mapping[str, Any] | None, **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    body: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-x",
        "choices": [choice],
        **fields,
    }
    return body if usage is None else {**body, "usage": usage}


def response(usage: Mapping[str, Any] | None, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "model": "gpt-x",
        "status": "completed",
        "output": [],
        "error": None,
    }
    return {**body, "usage": usage, **fields}


def chunk(usage: Mapping[str, Any] | None = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": finish}
    body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-x", "choices": [choice], **fields}
    return {**body, "usage": usage}


def one_of(body: dict[str, Any], **given_: Any) -> Inference:
    (one,) = inferences(body, **given_)
    return one


def counts(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    sums = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {**sums, **more}


def test_c03_cached_tokens_are_inside_the_prompt() -> None:
    one = one_of(chat(counts(17_903, 10, prompt_tokens_details={"cached_tokens": 17_817})))
    assert (one.prompt_tokens, one.cache_read_tokens) == (17_903, 17_817)
    assert (one.provider, one.model, one.response_id, one.evidence) == ("openai", "gpt-x", "chatcmpl-1", "response")
    assert one.anomaly is None


def test_c08_cache_writes() -> None:
    one = one_of(chat(counts(4020, 5, prompt_tokens_details={"cached_tokens": 4, "cache_write_tokens": 4012})))
    assert (one.cache_read_tokens, one.cache_write_tokens, one.cache_write_1h_tokens) == (4, 4012, None)


def test_reasoning_audio_and_the_tier_served() -> None:
    usage = counts(
        100,
        50,
        prompt_tokens_details={"cached_tokens": 20, "audio_tokens": 60, "cached_tokens_details": {"audio_tokens": 8}},
        completion_tokens_details={"reasoning_tokens": 5, "audio_tokens": 40, "accepted_prediction_tokens": 0},
    )
    one = one_of(chat(usage, service_tier="flex"))
    assert (one.reasoning_tokens, one.service_tier) == (5, "flex")
    assert one.usage == {"input_audio_tokens": 60, "output_audio_tokens": 40, "cache_audio_read_tokens": 8}
    assert one_of(chat(counts(1, 1, prompt_tokens_details={"audio_tokens": 0}))).usage is None


def test_units_beyond_their_whole_are_left_out() -> None:
    one = one_of(chat(counts(10, 5, prompt_tokens_details={"audio_tokens": 11})))
    assert (one.usage, one.anomaly) == (None, "11 input_audio_tokens exceed 10 input tokens")


def test_a_total_that_is_another_is_named() -> None:
    one = one_of(chat({"prompt_tokens": 60, "completion_tokens": 30, "total_tokens": 100}))
    assert (one.prompt_tokens, one.completion_tokens) == (60, 30)
    assert one.anomaly == "the provider's total is 100, but 60 input and 30 output tokens were reported"


def test_no_usage_is_unknown_not_zero() -> None:
    one = one_of(chat(None))
    assert (one.prompt_tokens, one.completion_tokens, one.evidence) == (None, None, "response")


def test_c21_an_explicit_zero_stays() -> None:
    assert one_of(chat(counts(0, 0))).prompt_tokens == 0


def test_stream_with_usage_in_its_own_chunk() -> None:
    last = chunk(counts(14, 8), choices=[], service_tier="default")
    (one,) = inferences_from_events([chunk(), chunk(finish="stop"), last])
    assert (one.prompt_tokens, one.completion_tokens, one.evidence, one.service_tier) == (14, 8, "stream", "default")


def test_c17_usage_in_a_chunk_with_choices_and_the_last_wins() -> None:
    details = {"cached_tokens": 15_872}
    events = [
        chunk(counts(1, 1)),
        chunk(counts(16_111, 9, prompt_tokens_details=details), finish="stop"),
        chunk(None),
    ]
    (one,) = inferences_from_events(events)
    assert (one.prompt_tokens, one.cache_read_tokens, one.completion_tokens) == (16_111, 15_872, 9)


def test_c23_the_tier_of_a_stream() -> None:
    (one,) = inferences_from_events([chunk(service_tier="flex"), chunk(counts(1, 1), finish="stop", service_tier=None)])
    assert one.service_tier == "flex"


def test_c24_the_id_is_not_that_of_the_usage_chunk() -> None:
    (one,) = inferences_from_events([chunk(), chunk(counts(1, 1), choices=[], id="other", model="")])
    assert (one.response_id, one.model) == ("chatcmpl-1", "gpt-x")


def test_a_stream_that_was_not_asked_for_usage() -> None:
    (one,) = inferences_from_events([chunk(), chunk(finish="stop")])
    assert (one.prompt_tokens, one.completion_tokens, one.evidence) == (None, None, "stream")
    (one,) = inferences_from_events([chunk(), chunk()])
    assert (one.prompt_tokens, one.evidence) == (None, "partial")


def test_embeddings_generate_nothing() -> None:
    body = {"object": "list", "data": [], "model": "embed", "usage": {"prompt_tokens": 8, "total_tokens": 8}}
    one = one_of(body)
    assert (one.prompt_tokens, one.completion_tokens, one.anomaly) == (8, 0, None)
    assert one_of({**body, "usage": {"total_tokens": 6}}).prompt_tokens == 6


def test_deepseek() -> None:
    usage = counts(563, 116, prompt_cache_hit_tokens=512, prompt_cache_miss_tokens=51)
    one = one_of(chat(usage))
    assert (one.prompt_tokens, one.cache_read_tokens, one.provider) == (563, 512, "deepseek")


def test_groq_stream() -> None:
    last = chunk(None, finish="stop", x_groq={"id": "req_1", "usage": counts(18, 70)})
    (one,) = inferences_from_events([chunk(), last])
    assert (one.prompt_tokens, one.completion_tokens, one.provider) == (18, 70, "groq")


def test_mistral() -> None:
    one = one_of(chat(counts(68, 6, num_cached_tokens=64)))
    assert (one.cache_read_tokens, one.provider) == (64, "mistral")


def test_moonshot_usage_inside_a_choice() -> None:
    event = chunk()
    event["choices"] = [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": counts(9, 3, cached_tokens=4)}]
    (one,) = inferences_from_events([chunk(), event])
    assert (one.prompt_tokens, one.completion_tokens, one.cache_read_tokens) == (9, 3, 4)


@pytest.mark.parametrize(
    ("total", "completion", "anomaly"),
    [
        (130, 30, None),  # 100 + 30: reasoning is inside
        (150, 50, None),  # 100 + 30 + 20: xAI, reasoning is on top
        (140, 30, "the provider's total is 140, but 100 input and 30 output tokens were reported"),
    ],
)
def test_the_total_tells_where_reasoning_is(total: int, completion: int, anomaly: str | None) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": total}
    one = one_of(chat({**usage, "completion_tokens_details": {"reasoning_tokens": 20}}), provider="x-ai")
    assert (one.completion_tokens, one.reasoning_tokens, one.anomaly) == (completion, 20, anomaly)
    assert one.provider == "x-ai"


def test_perplexity() -> None:
    """The example of its reference for deep research: reasoning and citations stand beside the completion."""
    usage = counts(
        33, 7163, citation_tokens=20_016, num_search_queries=19, reasoning_tokens=73_997, cost={"total_cost": 1}
    )
    one = one_of(chat(usage))
    assert (one.prompt_tokens, one.completion_tokens, one.reasoning_tokens) == (33, 7163 + 73_997 + 20_016, 73_997)
    assert (one.web_search_requests, one.usage, one.reported_cost_usd) == (19, {"output_citation_tokens": 20_016}, 1.0)
    assert (one.provider, one.anomaly) == ("perplexity", None)


def tokens(given_: int, out: int, **more: Any) -> dict[str, Any]:
    return {"input_tokens": given_, "output_tokens": out, "total_tokens": given_ + out, **more}


def test_responses() -> None:
    usage = tokens(
        4020,
        50,
        input_tokens_details={"cached_tokens": 8, "cache_write_tokens": 4012},
        output_tokens_details={"reasoning_tokens": 40},
    )
    one = one_of(response(usage, service_tier="priority"))
    assert (one.prompt_tokens, one.completion_tokens, one.reasoning_tokens) == (4020, 50, 40)
    assert (one.cache_read_tokens, one.cache_write_tokens, one.service_tier) == (8, 4012, "priority")
    assert (one.provider, one.response_id, one.anomaly) == ("openai", "resp_1", None)


def test_web_searches_of_responses() -> None:
    calls = [
        {"type": "web_search_call", "action": {"type": "search"}},
        {"type": "web_search_call", "action": {"type": "open_page"}},
        {"type": "web_search_call"},
    ]
    assert one_of(response(tokens(1, 1), output=calls)).web_search_requests == 2
    counted = response(tokens(1, 1), output=calls, tool_usage={"web_search": {"num_requests": 7}})
    assert one_of(counted).web_search_requests == 7
    assert one_of(response(tokens(1, 1))).web_search_requests is None


def test_images_made_by_a_tool_are_an_inference_of_their_own_model() -> None:
    used = {"image_gen": tokens(30, 4000, output_tokens_details={"image_tokens": 4000})}
    tools = [{"type": "image_generation", "model": "gpt-image-x"}]
    text_, image = inferences(response(tokens(10, 20), tool_usage=used, tools=tools))
    assert (text_.part, text_.model, text_.prompt_tokens) == (0, "gpt-x", 10)
    assert (image.part, image.model, image.completion_tokens) == (1, "gpt-image-x", 4000)
    assert image.usage == {"output_image_tokens": 4000}
    assert "4030 tokens of image generation" in (one_of(response(tokens(10, 20), tool_usage=used)).anomaly or "")


def test_a_background_response_counts_when_it_has_ended() -> None:
    for status in ("queued", "in_progress"):
        assert inferences(response(None, status=status, background=True)) == []
    assert one_of(response(tokens(3, 4), background=True)).prompt_tokens == 3
    ended = one_of(response(None, status="cancelled"))
    assert (ended.prompt_tokens, ended.completion_tokens) == (None, None)


@pytest.mark.parametrize("last", ["completed", "incomplete", "failed"])
def test_responses_stream(last: str) -> None:
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response(None, status="in_progress")},
        {"type": "response.output_text.delta", "delta": "x"},
        {"type": f"response.{last}", "response": response(tokens(5, 6), status=last)},
    ]
    (one,) = inferences_from_events(events)
    assert (one.prompt_tokens, one.completion_tokens, one.evidence) == (5, 6, "stream")


def test_a_response_that_failed_after_it_used_tokens() -> None:
    failed = response(tokens(5, 6), status="failed", error={"code": "server_error", "message": "no"})
    assert one_of(failed).prompt_tokens == 5
    assert one_of({**failed, "usage": None}).prompt_tokens is None


def test_responses_stream_that_broke_off() -> None:
    created: dict[str, Any] = {"type": "response.created", "response": response(None, status="in_progress")}
    (one,) = inferences_from_events([created])
    assert (one.prompt_tokens, one.completion_tokens, one.evidence, one.model) == (None, None, "partial", "gpt-x")
    created["response"] = response(None, status="queued", background=True)
    assert inferences_from_events([created]) == [], "it goes on, and the response that is fetched later counts"


def test_compacting_is_billed() -> None:
    body = {"id": "resp_1", "object": "response.compaction", "output": [], "usage": tokens(9000, 500)}
    assert one_of(body, model="gpt-x").prompt_tokens == 9000
    with pytest.raises(UnknownUsage, match="give the model of the request"):
        inferences(body)


def test_lines_of_a_batch() -> None:
    line = {"id": "batch_req_1", "custom_id": "a", "error": None}
    answer = {"status_code": 200, "request_id": "r", "body": chat(counts(1, 2), service_tier="default")}
    assert one_of({**line, "response": answer}).service_tier == "batch"
    assert inferences({**line, "response": {"status_code": 400, "body": {"error": {"message": "no"}}}}) == []
    assert inferences({**line, "response": None, "error": {"code": "batch_expired"}}) == []


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no such model", "type": "invalid_request_error"}},
        {"object": "response.input_tokens", "input_tokens": 51},
        {"object": "list", "data": [{"object": "model", "id": "gpt-x"}]},
        {"object": "batch", "id": "batch_1", "usage": {"input_tokens": 1}},
        {"object": "error", "message": "no"},
        {"detail": [{"msg": "field required"}]},
        {"id": "modr-1", "model": "omni-moderation", "results": [{"flagged": False}]},
        {"pages": [{"markdown": "x"}], "model": "mistral-ocr", "usage_info": {"pages_processed": 3}},
        {"expires_at": 1, "value": "ek_1", "session": {}},
    ],
)
def test_what_is_no_inference(body: dict[str, Any]) -> None:
    assert inferences(body) == []


@pytest.mark.parametrize("value", [-1, 0.5, float("nan"), True, "12", 2 * 10**9])
@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens", "total_tokens"])
def test_a_count_that_is_none_is_refused(field: str, value: object) -> None:
    with pytest.raises(UnknownUsage, match=rf"^{field} is "):
        inferences(chat({**counts(1, 1), field: value}))


def test_details_that_are_no_object_are_refused() -> None:
    with pytest.raises(UnknownUsage, match="prompt_tokens_details is 7"):
        inferences(chat(counts(1, 1, prompt_tokens_details=7)))


def test_events_of_no_known_stream() -> None:
    for events in ([], [{"hello": 1}], [{"a": 1}, {"b": 2}]):
        with pytest.raises(UnknownUsage, match="no known shape"):
            inferences_from_events(events)
    with pytest.raises(UnknownUsage, match="event is a str"):
        inferences_from_events(["data: {}"])  # type: ignore[list-item]


def test_an_answer_in_one_piece_to_a_request_for_a_stream() -> None:
    body = {"object": "list", "data": [], "model": "embed", "usage": {"prompt_tokens": 8}}
    assert inferences_from_events([body]) == inferences(body)


@given(prompt=st.integers(0, 10**8), completion=st.integers(0, 10**8), responses=st.booleans(), data=st.data())
def test_any_counts_close(prompt: int, completion: int, responses: bool, data: st.DataObject) -> None:
    cached = data.draw(st.integers(0, prompt))
    written = data.draw(st.integers(0, prompt - cached))
    reasoning = data.draw(st.integers(0, completion))
    inside, outside = {"cached_tokens": cached, "cache_write_tokens": written}, {"reasoning_tokens": reasoning}
    if responses:
        usage = tokens(prompt, completion, input_tokens_details=inside, output_tokens_details=outside)
        one = one_of(response(usage))
    else:
        usage = counts(prompt, completion, prompt_tokens_details=inside, completion_tokens_details=outside)
        one = one_of(chat(usage))
    assert (one.prompt_tokens, one.completion_tokens, one.anomaly) == (prompt, completion, None)
    assert (one.cache_read_tokens, one.cache_write_tokens, one.reasoning_tokens) == (cached, written, reasoning)


@given(st.lists(st.integers(0, 10**6), min_size=8, max_size=8))
def test_parts_never_exceed_their_whole(numbers: list[int]) -> None:
    prompt, completion, total, cached, written, reasoning, audio, cached_audio = numbers
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": written,
            "audio_tokens": audio,
            "cached_tokens_details": {"audio_tokens": cached_audio},
        },
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    one = one_of(chat(usage))
    assert one.prompt_tokens == prompt
    assert one.completion_tokens is not None
    assert (one.cache_read_tokens or 0) + (one.cache_write_tokens or 0) <= prompt
    assert (one.reasoning_tokens or 0) <= one.completion_tokens
    assert (one.usage or {}).get("input_audio_tokens", 0) <= prompt
    assert one.anomaly or prompt + one.completion_tokens == total


@given(st.lists(st.none() | st.integers(0, 10**6), min_size=1, max_size=6), st.data())
def test_repeated_chunks_change_nothing_and_the_last_usage_wins(sizes: list[int | None], data: st.DataObject) -> None:
    events = [chunk(None if size is None else counts(size, 1)) for size in sizes]
    repeats = data.draw(st.lists(st.integers(1, 3), min_size=len(events), max_size=len(events)))
    repeated = [event for event, times in zip(events, repeats, strict=True) for _ in range(times)]
    found = inferences_from_events(events)
    assert inferences_from_events(repeated) == found
    known = [size for size in sizes if size is not None]
    assert found[0].prompt_tokens == (known[-1] if known else None)
