"""Anthropic Messages: exclusive counts become inclusive, iterations become inferences, streams are merged."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_ledger.errors import UnknownUsage
from agent_ledger.records import Inference
from agent_ledger.usage import inferences, inferences_from_events

COUNTS = st.integers(0, 10**8)


def message(usage: Mapping[str, Any] | None, **fields: Any) -> dict[str, Any]:
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [], **fields}
    return body if usage is None else {**body, "usage": usage}


def read(usage: Mapping[str, Any] | None, **fields: Any) -> Inference:
    (one,) = inferences(message(usage, **fields))
    return one


def stream(start: Mapping[str, Any], *deltas: Mapping[str, Any], stop: bool = True) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message(start)}, {"type": "ping"}]
    events += [{"type": "message_delta", "delta": {"stop_reason": None}, "usage": delta} for delta in deltas]
    if stop:
        events.append({"type": "message_stop"})
    return events


def dollars(
    found: list[Inference], prices: Mapping[str, tuple[str, str, str, str, str]], default: str = "claude-x"
) -> Decimal:
    """The list price by hand: input, cache read, write 5m, write 1h, output per million tokens."""
    sum_ = Decimal(0)
    for one in found:
        assert one.prompt_tokens is not None
        assert one.completion_tokens is not None
        hour = one.cache_write_1h_tokens or 0
        short = (one.cache_write_tokens or 0) - hour
        cached = one.cache_read_tokens or 0
        fresh = one.prompt_tokens - cached - short - hour
        amounts = (fresh, cached, short, hour, one.completion_tokens)
        rates = prices.get(one.model, prices[default])
        sum_ += sum((Decimal(rate) * n for rate, n in zip(rates, amounts, strict=True)), Decimal(0)) / 10**6
    return sum_


SONNET = ("3", "0.30", "3.75", "6", "15")


def test_c01_cache_tokens_are_added_to_the_input_once() -> None:
    one = read(
        {"input_tokens": 3, "cache_creation_input_tokens": 12304, "cache_read_input_tokens": 0, "output_tokens": 550}
    )
    assert (one.prompt_tokens, one.completion_tokens) == (12307, 550)
    assert (one.cache_read_tokens, one.cache_write_tokens, one.cache_write_1h_tokens) == (0, 12304, None)
    assert dollars([one], {"claude-x": SONNET}) == Decimal("0.054399")
    assert (one.provider, one.model, one.response_id, one.evidence, one.part) == (
        "anthropic",
        "claude-x",
        "msg_1",
        "response",
        0,
    )


@pytest.mark.parametrize(("short", "hour", "expected"), [(600, 400, "7.75"), (400, 600, "8.50"), (1000, 0, "6.25")])
def test_c09_writes_of_one_hour_are_told_apart(short: int, hour: int, expected: str) -> None:
    usage = {
        "input_tokens": 0,
        "cache_creation_input_tokens": 1_000_000,
        "cache_creation": {"ephemeral_5m_input_tokens": short * 1000, "ephemeral_1h_input_tokens": hour * 1000},
        "output_tokens": 0,
    }
    one = read(usage)
    assert (one.cache_write_tokens, one.cache_write_1h_tokens, one.anomaly) == (1_000_000, hour * 1000, None)
    assert dollars([one], {"claude-x": ("5", "0.5", "6.25", "10", "25")}) == Decimal(expected)


@pytest.mark.parametrize(
    ("total", "split", "written", "hour", "says"),
    [
        (1000, {"ephemeral_1h_input_tokens": 400}, 1000, 400, "600 of 1000"),
        (1000, {"ephemeral_5m_input_tokens": 400}, 1000, None, "600 of 1000"),
        (1000, {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}, 1000, 200, "700 of 1000"),
        (
            15,
            {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 10},
            15,
            None,
            "10 of an hour exceed all 15",
        ),
        (400, {"ephemeral_1h_input_tokens": 400}, 400, 400, None),
        (None, {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2}, 3, 2, None),
    ],
)
def test_c10_a_split_that_does_not_add_up_keeps_the_total(
    total: int | None, split: dict[str, int], written: int, hour: int | None, says: str | None
) -> None:
    one = read({"input_tokens": 5, "output_tokens": 1, "cache_creation_input_tokens": total, "cache_creation": split})
    assert (one.prompt_tokens, one.cache_write_tokens, one.cache_write_1h_tokens) == (5 + written, written, hour)
    assert (one.anomaly is None) if says is None else says in (one.anomaly or "")


def test_c11_the_total_alone_is_enough() -> None:
    one = read({"input_tokens": 1, "cache_creation_input_tokens": 9, "output_tokens": 1, "cache_creation": None})
    assert (one.prompt_tokens, one.cache_write_tokens, one.cache_write_1h_tokens) == (10, 9, None)


def test_tier_region_searches_and_thinking() -> None:
    usage = {
        "input_tokens": 10,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 15},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
        "service_tier": "priority",
        "inference_geo": "us",
    }
    one = read(usage)
    assert (one.reasoning_tokens, one.web_search_requests, one.service_tier, one.region) == (15, 2, "priority", "us")
    assert read({**usage, "speed": "fast"}).service_tier == "fast"
    assert read({**usage, "speed": "standard"}).service_tier == "priority"


@pytest.mark.parametrize(("geo", "region"), [("not_available", None), (None, None), ("global", "global"), ("us", "us")])
def test_c86_region(geo: str | None, region: str | None) -> None:
    assert read({"input_tokens": 1, "output_tokens": 1, "inference_geo": geo}).region == region


def test_thinking_beyond_the_output_is_unknown() -> None:
    one = read({"input_tokens": 1, "output_tokens": 10, "output_tokens_details": {"thinking_tokens": 11}})
    assert (one.completion_tokens, one.reasoning_tokens) == (10, None)
    assert one.anomaly == "11 reasoning tokens exceed 10 output tokens"


def test_c77_server_tools_without_iterations_choose_the_tier_by_one_inference() -> None:
    usage = {"input_tokens": 404_500, "output_tokens": 9, "server_tool_use": {"web_search_requests": 10}}
    assert read(usage).tier_tokens == 36_773  # ceil(404500 / 11)
    tools = [{"type": "mcp_tool_use"}, {"type": "server_tool_use", "name": "bash_code_execution"}, {"type": "text"}]
    assert read({"input_tokens": 100, "output_tokens": 1}, content=tools).tier_tokens == 34
    assert read({"input_tokens": 100, "output_tokens": 1}, content=[{"type": "tool_use"}]).tier_tokens is None


def iteration(kind: str, given_: int, out: int, **more: Any) -> dict[str, Any]:
    counts = {
        "input_tokens": given_,
        "output_tokens": out,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    }
    return {"type": kind, **counts, **more}


def test_c79_compaction_is_an_inference_of_its_own() -> None:
    """The numbers of 0129.json; c65: the top level alone hides what was billed."""
    usage = {
        "input_tokens": 220,
        "output_tokens": 8,
        "iterations": [iteration("compaction", 55196, 125), iteration("message", 220, 8)],
    }
    found = inferences(message(usage))
    assert [(one.part, one.model, one.prompt_tokens, one.completion_tokens) for one in found] == [
        (0, "claude-x", 55196, 125),
        (1, "claude-x", 220, 8),
    ]
    assert {one.response_id for one in found} == {"msg_1"}
    assert all(one.anomaly is None for one in found)
    assert dollars(found, {"claude-x": SONNET}) == Decimal("0.168243")


def test_c80_advice_is_billed_at_the_advisors_model() -> None:
    """The numbers of 0115.json."""
    usage = {
        "input_tokens": 2390,
        "output_tokens": 121,
        "output_tokens_details": {"thinking_tokens": 28},
        "server_tool_use": {"web_search_requests": 3},
        "service_tier": "standard",
        "iterations": [
            iteration("message", 1128, 110),
            iteration("advisor_message", 2518, 22, model="claude-opus-4-8"),
            iteration("message", 1262, 11),
        ],
    }
    found = inferences(message(usage, content=[{"type": "server_tool_use", "name": "advisor"}]))
    assert [one.model for one in found] == ["claude-x", "claude-opus-4-8", "claude-x"]
    prices = {"claude-x": ("2", "0.2", "2.5", "4", "10"), "claude-opus-4-8": ("5", "0.5", "6.25", "10", "25")}
    assert dollars(found, prices) == Decimal("0.01913")
    assert [one.web_search_requests for one in found] == [None, None, 3], "counted once, where the response ended"
    assert [one.reasoning_tokens for one in found] == [None, None, None], (
        "of two messages nobody says which one thought"
    )
    assert [one.tier_tokens for one in found] == [None, None, None], "an iteration is a single inference"


def test_an_advisor_does_not_inherit_the_fast_mode() -> None:
    usage = {
        "input_tokens": 1,
        "output_tokens": 1,
        "speed": "fast",
        "iterations": [iteration("advisor_message", 5, 5, model="other"), iteration("message", 1, 1)],
    }
    assert [one.service_tier for one in inferences(message(usage))] == [None, "fast"]


def test_a_declined_attempt_is_not_billed() -> None:
    usage = {
        "input_tokens": 30,
        "output_tokens": 12,
        "iterations": [
            iteration("message", 100, 1, model="claude-declined"),
            iteration("message", 10, 5, model="claude-x"),
            iteration("fallback_message", 20, 7, model="claude-x"),
        ],
    }
    found = inferences(message(usage))
    assert [(one.part, one.model, one.prompt_tokens) for one in found] == [(0, "claude-x", 10), (1, "claude-x", 20)]
    assert all(one.anomaly is None for one in found)


def test_iterations_that_contradict_the_top_level_are_kept_and_named() -> None:
    usage = {"input_tokens": 5, "output_tokens": 5, "iterations": [iteration("message", 7, 5)]}
    (one,) = inferences(message(usage))
    assert one.prompt_tokens == 7
    assert one.anomaly == "the iterations sum up to 7 input and 5 output tokens, the response to 5 and 5"


def test_no_iterations_means_the_top_level() -> None:
    assert read({"input_tokens": 5, "output_tokens": 6, "iterations": []}).prompt_tokens == 5
    assert read({"input_tokens": 5, "output_tokens": 6, "iterations": None}).prompt_tokens == 5


def test_c20_stream_usage_is_merged_not_added() -> None:
    (one,) = inferences_from_events(stream({"input_tokens": 1000, "output_tokens": 1}, {"output_tokens": 100}))
    assert (one.prompt_tokens, one.completion_tokens, one.evidence) == (1000, 100, "stream")


def test_c76_the_last_delta_wins_over_the_start() -> None:
    start = {"input_tokens": 2479, "output_tokens": 3, "service_tier": "standard", "inference_geo": "us"}
    deltas = ({"input_tokens": 90_000, "output_tokens": 50}, {"input_tokens": 404_500, "output_tokens": 700})
    (one,) = inferences_from_events(stream(start, *deltas))
    assert (one.prompt_tokens, one.completion_tokens) == (404_500, 700)
    assert (one.service_tier, one.region) == ("standard", "us"), "what only the start says stays"


def test_c76_null_in_a_delta_says_nothing() -> None:
    start = {"input_tokens": 7, "cache_read_input_tokens": 4, "output_tokens": 1}
    delta = {"input_tokens": None, "cache_read_input_tokens": None, "output_tokens": 9}
    (one,) = inferences_from_events(stream(start, delta))
    assert (one.prompt_tokens, one.cache_read_tokens, one.completion_tokens) == (11, 4, 9)


def test_c76_the_split_of_the_start_and_the_total_of_a_delta() -> None:
    """Only the start splits cache writes by lifetime; what a later turn wrote counts as five minutes."""
    split = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 40}
    start = {"input_tokens": 7, "cache_creation_input_tokens": 40, "cache_creation": split, "output_tokens": 1}
    (same,) = inferences_from_events(stream(start, {"cache_creation_input_tokens": 40, "output_tokens": 9}))
    assert (same.prompt_tokens, same.cache_write_1h_tokens, same.anomaly) == (47, 40, None)
    (more,) = inferences_from_events(stream(start, {"cache_creation_input_tokens": 100, "output_tokens": 9}))
    assert (more.prompt_tokens, more.cache_write_tokens, more.cache_write_1h_tokens) == (107, 100, 40)
    assert more.anomaly == "the lifetime of 60 of 100 cache writes is unknown: taken as 5 minutes"


def test_c76_null_inside_an_object_of_a_delta_says_nothing() -> None:
    start = {"input_tokens": 7, "server_tool_use": {"web_search_requests": 2}}
    (one,) = inferences_from_events(stream(start, {"server_tool_use": {"web_search_requests": None}}))
    assert one.web_search_requests == 2


def test_c78_a_smaller_later_value_wins_and_iterations_hold_the_rest() -> None:
    """The numbers of 0133.sse: the 55,096 cached tokens are the compaction's, not the message's."""
    start = {
        "input_tokens": 100,
        "cache_read_input_tokens": 55_096,
        "cache_creation_input_tokens": 0,
        "output_tokens": 7,
    }
    delta = {"input_tokens": 181, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 8}
    parts = [iteration("compaction", 100, 83) | {"cache_read_input_tokens": 55_096}, iteration("message", 181, 8)]
    found = inferences_from_events(stream(start, {**delta, "iterations": parts}))
    assert [(one.prompt_tokens, one.cache_read_tokens, one.completion_tokens) for one in found] == [
        (55_196, 55_096, 83),
        (181, 0, 8),
    ]
    assert dollars(found, {"claude-x": SONNET}) == Decimal("0.0187368")
    (top,) = inferences_from_events(stream(start, delta))
    assert (top.prompt_tokens, top.cache_read_tokens) == (181, 0)


def test_c16_streamed_and_not_streamed_agree() -> None:
    usage = {"input_tokens": 3, "cache_read_input_tokens": 5, "output_tokens": 9, "service_tier": "standard"}
    (streamed,) = inferences_from_events(stream(usage | {"output_tokens": 1}, {"output_tokens": 9}))
    whole = read(usage)
    assert (streamed.prompt_tokens, streamed.completion_tokens, streamed.cache_read_tokens, streamed.service_tier) == (
        whole.prompt_tokens,
        whole.completion_tokens,
        whole.cache_read_tokens,
        whole.service_tier,
    )


def test_a_stream_that_broke_off_is_partial() -> None:
    (one,) = inferences_from_events(stream({"input_tokens": 50, "output_tokens": 1}, stop=False))
    assert (one.prompt_tokens, one.completion_tokens, one.evidence) == (50, 1, "partial")
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    (one,) = inferences_from_events([*stream({"input_tokens": 50, "output_tokens": 1}, stop=False), error])
    assert one.evidence == "partial"
    assert inferences_from_events([error]) == []


def test_tools_seen_in_a_stream_count_once() -> None:
    block = {"type": "content_block_start", "index": 1, "content_block": {"type": "mcp_tool_use"}}
    start, *rest = stream({"input_tokens": 10, "output_tokens": 1}, {"input_tokens": 3042, "output_tokens": 5})
    (one,) = inferences_from_events([start, block, block, *rest])
    assert one.tier_tokens == 1521


def test_two_messages_in_one_stream_are_refused() -> None:
    second = {"type": "message_start", "message": message({"input_tokens": 1}, id="msg_2")}
    with pytest.raises(UnknownUsage, match="two messages"):
        inferences_from_events([*stream({"input_tokens": 1, "output_tokens": 1}), second])


def test_lines_of_a_batch() -> None:
    answer = message({"input_tokens": 4, "output_tokens": 2, "service_tier": "batch"})
    (one,) = inferences({"custom_id": "a", "result": {"type": "succeeded", "message": answer}})
    assert (one.prompt_tokens, one.service_tier, one.response_id) == (4, "batch", "msg_1")
    for kind in ("errored", "canceled", "expired"):  # C25: not billed
        assert inferences({"custom_id": "a", "result": {"type": kind}}) == []


def test_a_message_without_usage_is_unknown_not_zero() -> None:
    one = read(None)
    assert (one.prompt_tokens, one.completion_tokens) == (None, None)


@pytest.mark.parametrize(
    "body",
    [
        {"input_tokens": 2095},
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"},
        {"id": "msgbatch_1", "type": "message_batch", "processing_status": "ended"},
        {"data": [{"type": "model", "id": "claude-x"}], "has_more": False, "first_id": None, "last_id": None},
    ],
)
def test_what_is_no_inference(body: dict[str, Any]) -> None:
    assert inferences(body) == []


@pytest.mark.parametrize("value", [-1, 1.5, float("nan"), float("inf"), True, "12", 10**9 + 1, 10**400, [1]])
@pytest.mark.parametrize("field", ["input_tokens", "output_tokens", "cache_read_input_tokens"])
def test_a_count_that_is_none_is_refused_with_its_name(field: str, value: object) -> None:
    with pytest.raises(UnknownUsage, match=rf"^{field} is ") as error:
        read({"input_tokens": 1, "output_tokens": 1, field: value})
    assert repr(value)[:40] in str(error.value)


def test_a_float_without_a_fraction_is_a_count() -> None:
    assert read({"input_tokens": 12.0, "output_tokens": 1}).prompt_tokens == 12


@pytest.mark.parametrize("body", [{}, {"hello": 1}, {"usage": {"tokens": 3}}, {"type": "message"}])
def test_c22_an_unknown_shape_is_an_error_not_zeros(body: dict[str, Any]) -> None:
    with pytest.raises(UnknownUsage, match="no known shape"):
        inferences(body)


def test_what_is_no_json_is_refused() -> None:
    for body in ("{}", b"{}", 7, None):
        with pytest.raises(UnknownUsage, match="pass its decoded JSON"):
            inferences(body)  # type: ignore[arg-type]


def test_a_given_provider_and_model() -> None:
    body = message({"input_tokens": 1, "output_tokens": 1})
    (one,) = inferences(body, "aws", model="unused")
    assert (one.provider, one.model) == ("aws", "claude-x")
    del body["model"]
    assert inferences(body, model="asked")[0].model == "asked"
    with pytest.raises(UnknownUsage, match="does not name its model"):
        inferences(body)


@given(fresh=COUNTS, cached=COUNTS, short=COUNTS, hour=COUNTS, output=COUNTS, data=st.data())
def test_any_counts_close(fresh: int, cached: int, short: int, hour: int, output: int, data: st.DataObject) -> None:
    thinking = data.draw(st.integers(0, output))
    usage = {
        "input_tokens": fresh,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": short + hour,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": hour},
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": thinking},
    }
    one = read(usage)
    assert one.anomaly is None
    assert one.prompt_tokens == fresh + cached + short + hour
    assert (one.cache_read_tokens, one.cache_write_tokens, one.cache_write_1h_tokens) == (cached, short + hour, hour)
    assert (one.completion_tokens, one.reasoning_tokens) == (output, thinking)


DELTA = st.dictionaries(
    st.sampled_from(["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]),
    COUNTS | st.none(),
)


@given(start=DELTA, deltas=st.lists(DELTA, max_size=5), data=st.data())
def test_repeated_events_change_nothing_and_the_last_value_wins(
    start: dict[str, int | None], deltas: list[dict[str, int | None]], data: st.DataObject
) -> None:
    events = stream(start, *deltas)
    repeats = data.draw(st.lists(st.integers(1, 3), min_size=len(events), max_size=len(events)))
    repeated = [event for event, times in zip(events, repeats, strict=True) for _ in range(times)]
    found = inferences_from_events(events)
    assert inferences_from_events(repeated) == found
    # A delta that is split into one event for each of its fields says the same.
    split = stream(start, *({name: value} for delta in deltas for name, value in delta.items()))
    assert inferences_from_events(split) == found
    last = {name: value for usage in (start, *deltas) for name, value in usage.items() if value is not None}
    assert found[0].completion_tokens == last.get("output_tokens")
    assert found[0].cache_read_tokens == last.get("cache_read_input_tokens")
