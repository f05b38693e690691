"""OpenAI Responses: a response, its stream, and what `responses/compact` returns.

Source: openai SDK 3.54, `types/responses/response.py`, `response_usage.py`, `response_completed_event.py`. The counts
are inclusive, as those of Chat Completions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agent_ledger.records import Inference
from agent_ledger.usage import openai
from agent_ledger.usage.counts import Body, closed, count, model_name, objects, section, text

_LAST = {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}
_PENDING = {"queued", "in_progress"}


def recognises(body: Body) -> bool:
    return body.get("object") in ("response", "response.compaction")


def recognises_event(event: Body) -> bool:
    return str(event.get("type")).startswith("response.")


def fold(events: Sequence[Body]) -> tuple[Body, str]:
    """The response as its last event has it. Only the last one carries usage; without it the stream was cut."""
    body: Body = {"object": "response"}
    finished = False
    for event in events:
        if section(event, "response"):
            body = {"object": "response", **section(event, "response")}
        finished = finished or event.get("type") in _LAST
    if not finished and not body.get("background"):
        body = {**body, "status": "incomplete"}  # a background response goes on, and can be fetched later
    return body, "stream" if finished else "partial"


def read(body: Body, provider: str | None, model: str | None, evidence: str) -> list[Inference]:
    usage = section(body, "usage")
    if not usage and body.get("status") in _PENDING:
        return []  # polled before it ended; the response that ends it says what it used
    common = Inference(
        model=(name := model_name(text(body, "model"), model)),
        provider=provider or openai.maker(name),
        response_id=text(body, "id"),
        prompt_tokens=None,
        completion_tokens=None,
        service_tier=text(body, "service_tier"),
        evidence=evidence,
    )
    one = openai.counted(usage, common)
    if one.web_search_requests is None:
        one = replace(one, web_search_requests=_searches(body))
    return _with_images(body, one, common)


def _searches(body: Body) -> int | None:
    """Billed web searches: as counted by the provider, else the search actions; opening a page is free."""
    counted = count(section(section(body, "tool_usage"), "web_search"), "num_requests")
    if counted is not None:
        return counted
    calls = [item for item in objects(body, "output") if item.get("type") == "web_search_call"]
    if not calls:
        return None
    return sum(text(section(call, "action"), "type") in (None, "search") for call in calls)


def _with_images(body: Body, one: Inference, common: Inference) -> list[Inference]:
    """`one`, and the images that a tool made on a model of its own; they are not in the response's usage."""
    used = section(section(body, "tool_usage"), "image_gen")
    if not count(used, "total_tokens"):
        return [one]
    tools = (tool for tool in objects(body, "tools") if tool.get("type") == "image_generation")
    painter = next((text(tool, "model") for tool in tools), None)
    if painter is None:
        note = f"{used['total_tokens']} tokens of image generation are missing: the response does not name their model"
        return [closed(one, note)]
    return [one, openai.counted(used, replace(common, model=painter, part=1, service_tier=None))]
