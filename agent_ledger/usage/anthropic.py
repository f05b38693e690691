"""Anthropic Messages: a message, and the events of its stream. Also as served by Bedrock, Vertex AI and Foundry.

Source: anthropic SDK 2.12, `types/usage.py`, `types/message_delta_usage.py`, `types/beta/beta_usage.py`
(https://platform.claude.com/docs/en/api/messages, …/build-with-claude/streaming). The provider's counts are disjoint:
`input_tokens`, `cache_read_input_tokens` and `cache_creation_input_tokens` add up to the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agent_ledger.errors import UnknownUsage
from agent_ledger.records import Inference
from agent_ledger.usage.counts import Body, closed, count, hour_writes, model_name, objects, section, text

_EVENTS = {"message_start", "message_delta", "message_stop", "content_block_start", "content_block_delta"}
_OWN = {"message", "fallback_message"}  # iterations that the top level sums up
_BY_MODEL = {"fast", "priority"}  # bought for the model of the request; what an advisor ran on is not said


def recognises(body: Body) -> bool:
    return body.get("type") in ("message", "completion") and ("content" in body or "completion" in body)


def recognises_event(event: Body) -> bool:
    return event.get("type") in _EVENTS


def fold(events: Sequence[Body]) -> tuple[Body, str]:
    """The message that the events amount to.

    The usage of `message_delta` is cumulative, so its values replace those of `message_start`; adding them counts
    twice, and the larger of both mixes two inferences (peers.md C76, C78). What only the start says stays.
    """
    message: dict[str, Any] = {"type": "message"}
    usage: dict[str, Any] = {}
    blocks: dict[object, Body] = {}
    finished = False
    for event in events:
        match event.get("type"):
            case "message_start":
                start = section(event, "message")
                known = message.get("id")
                if known is not None and start.get("id") != known:
                    raise UnknownUsage("The stream holds two messages: pass the events of one response at a time.")
                message = {**start, "type": "message"}
                _take(usage, section(start, "usage"))
            case "content_block_start":
                blocks[event.get("index", len(blocks))] = section(event, "content_block")
            case "message_delta":
                _take(usage, section(event, "usage"))
                finished = finished or section(event, "delta").get("stop_reason") is not None
            case "message_stop":
                finished = True
    return {**message, "usage": usage, "content": list(blocks.values())}, "stream" if finished else "partial"


def _take(usage: dict[str, Any], later: Body) -> None:
    for name, value in later.items():
        if isinstance(value, dict) and isinstance(usage.get(name), dict):
            usage[name] = usage[name] | {key: part for key, part in value.items() if part is not None}
        elif value is not None:
            usage[name] = value


def read(body: Body, provider: str | None, model: str | None, evidence: str) -> list[Inference]:
    usage = section(body, "usage")
    fast = usage.get("speed") == "fast"
    region = text(usage, "inference_geo")
    common = Inference(
        model=model_name(text(body, "model"), model),
        provider=provider or "anthropic",
        response_id=text(body, "id"),
        prompt_tokens=None,
        completion_tokens=None,
        service_tier="fast" if fast else text(usage, "service_tier"),
        region=None if region == "not_available" else region,
        evidence=evidence,
    )
    searches = count(section(usage, "server_tool_use"), "web_search_requests")
    thinking = count(section(usage, "output_tokens_details"), "thinking_tokens")
    whole = _counted(usage, common, web_search_requests=searches, reasoning_tokens=thinking)
    iterations = objects(usage, "iterations")
    if iterations:
        return _iterations(iterations, common, whole)
    tier = _single_inference(body, usage, whole.prompt_tokens)
    return [closed(whole if tier is None else replace(whole, tier_tokens=tier))]


def _counted(usage: Body, common: Inference, **more: Any) -> Inference:
    """`common` with the counts of one usage object, of the top level or of one iteration, and with `more` fields."""
    fresh = count(usage, "input_tokens")
    read = count(usage, "cache_read_input_tokens")
    split = section(usage, "cache_creation")
    written, hour, note = hour_writes(
        count(usage, "cache_creation_input_tokens"),
        count(split, "ephemeral_5m_input_tokens"),
        count(split, "ephemeral_1h_input_tokens"),
    )
    return replace(
        common,
        prompt_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        completion_tokens=count(usage, "output_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=hour,
        anomaly=note,
        **more,
    )


def _iterations(iterations: list[Body], common: Inference, whole: Inference) -> list[Inference]:
    """One inference for each billed iteration. The top level is their sum at best, and lacks compaction and advice."""
    billed = _billed(iterations, common.model)
    own = [index for index, iteration in enumerate(billed) if iteration.get("type") in _OWN]
    served = own[-1] if own else 0  # what is counted per response goes to the iteration that ended it
    found = []
    for index, iteration in enumerate(billed):
        name = text(iteration, "model") or common.model
        one = _counted(iteration, common, model=name, part=index)
        if name != common.model and iteration.get("type") == "advisor_message" and common.service_tier in _BY_MODEL:
            one = replace(one, service_tier=None)
        if index == served:
            one = replace(one, web_search_requests=whole.web_search_requests)
        if own == [index]:
            one = replace(one, reasoning_tokens=whole.reasoning_tokens)  # of several, nobody says whose it was
        found.append(one)
    sums = [_sum([found[index] for index in own], field) for field in ("prompt_tokens", "completion_tokens")]
    note = None
    if own and sums != [whole.prompt_tokens, whole.completion_tokens]:
        note = (
            f"the iterations sum up to {sums[0]} input and {sums[1]} output tokens, "
            f"the response to {whole.prompt_tokens} and {whole.completion_tokens}"
        )
    return [closed(one, note if one.part == served else None) for one in found]


def _billed(iterations: list[Body], model: str) -> list[Body]:
    """Without the attempts that declined: they are not billed.

    Where a fallback model served the response, the last iteration is a `fallback_message` that names it, and the
    attempts of other models before it are plain `message` iterations.
    """
    server = next((text(one, "model") or model for one in iterations if one.get("type") == "fallback_message"), None)
    if server is None:
        return iterations
    return [one for one in iterations if one.get("type") != "message" or (text(one, "model") or model) == server]


def _sum(found: list[Inference], field: str) -> int | None:
    numbers = [getattr(one, field) for one in found]
    return None if None in numbers else sum(numbers)


def _single_inference(body: Body, usage: Body, prompt: int | None) -> int | None:
    """About how large one prompt was where tools ran on the server: `input_tokens` sums several then (peers.md C77)."""
    tools = section(usage, "server_tool_use")
    counted = sum(count(tools, name) or 0 for name in tools)
    seen = sum(block.get("type") in ("server_tool_use", "mcp_tool_use") for block in objects(body, "content"))
    uses = max(counted, seen)
    return -(-prompt // (uses + 1)) if uses and prompt is not None else None
