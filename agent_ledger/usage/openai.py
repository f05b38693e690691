"""OpenAI Chat Completions, Completions and Embeddings, and the vendors that speak them.

Source: openai SDK 3.54, `types/completion_usage.py`, `types/chat/chat_completion_chunk.py`; the vendors' references for
what they add: DeepSeek `prompt_cache_hit_tokens`, Groq `x_groq.usage`, Mistral `num_cached_tokens`, Moonshot
`choices[].usage` and `cached_tokens`, xAI reasoning beside the completion, Perplexity `citation_tokens`.
The counts are inclusive: cache reads, cache writes and audio are inside `prompt_tokens`, reasoning inside
`completion_tokens`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent_ledger.records import Inference
from agent_ledger.usage.counts import (
    Body,
    amount,
    closed,
    count,
    model_name,
    objects,
    section,
    text,
    total_note,
    units,
)

# gpt-oss is left out: its weights are open, so anybody may run it.
_OWN_MODELS = re.compile(r"(ft:)?(gpt-(?!oss)|chatgpt-|o\d\b|codex-|text-embedding-|davinci|babbage|computer-use)")

_OBJECTS = {"chat.completion", "chat.completion.chunk", "text_completion"}


def recognises(body: Body) -> bool:
    if body.get("object") in _OBJECTS or isinstance(body.get("choices"), list):
        return True
    return _is_embedding(body)


def recognises_event(event: Body) -> bool:
    return event.get("object") in _OBJECTS or isinstance(event.get("choices"), list)


def _is_embedding(body: Body) -> bool:
    return body.get("object") == "list" and isinstance(body.get("usage"), Mapping)


def fold(events: Sequence[Body]) -> tuple[Body, str]:
    """The completion that the chunks amount to.

    Usage is taken from any chunk, whatever else it carries, and the last one wins: OpenAI sends it in a chunk without
    choices, others in the last chunk with choices, some in each (peers.md C17). A stream that nobody asked to carry
    usage has none; then the tokens are unknown.
    """
    body: dict[str, Any] = {"object": "chat.completion", "choices": []}
    finished = False
    for event in events:
        for name in ("id", "model", "provider"):
            if not body.get(name):
                body[name] = text(event, name)  # the first: the chunk with the usage may have another id
        for name in ("service_tier", "x_groq", "prompt_filter_results"):
            if event.get(name):
                body[name] = event[name]
        if _usage(event):
            body["usage"] = _usage(event)
        finished = finished or any(choice.get("finish_reason") for choice in objects(event, "choices"))
    return body, "stream" if finished or body.get("usage") else "partial"


def read(body: Body, provider: str | None, model: str | None, evidence: str) -> list[Inference]:
    usage = _usage(body)
    common = Inference(
        model=(name := model_name(text(body, "model"), model)),
        provider=provider or _vendor(body, usage, name),
        response_id=text(body, "id"),
        prompt_tokens=None,
        completion_tokens=None,
        service_tier=text(body, "service_tier"),
        evidence=evidence,
    )
    if _is_embedding(body):
        # Nothing is generated. Some vendors give the total only.
        return [replace(common, prompt_tokens=count(usage, "prompt_tokens", "total_tokens"), completion_tokens=0)]
    return [counted(usage, common)]


def counted(usage: Body, common: Inference) -> Inference:
    """`common` with the counts of a usage object, of Chat Completions or of Responses."""
    prompt = count(usage, "prompt_tokens", "input_tokens")
    completion = count(usage, "completion_tokens", "output_tokens")
    inside = section(usage, "prompt_tokens_details", "input_tokens_details")
    outside = section(usage, "completion_tokens_details", "output_tokens_details")
    cached = section(inside, "cached_tokens_details")
    reasoning = count(outside, "reasoning_tokens")
    if reasoning is None:
        reasoning = count(usage, "reasoning_tokens")
    total = count(usage, "total_tokens")
    note = total_note(total, prompt, completion)
    citations = count(usage, "citation_tokens")
    if _is_perplexity(usage) and completion is not None:
        # Both are billed as output, and stand neither in completion_tokens nor in total_tokens.
        completion += (reasoning or 0) + (citations or 0)
    elif note and total_note(total, prompt, (completion or 0) + (reasoning or 0)) is None:
        completion, note = (completion or 0) + (reasoning or 0), None  # xAI: the total has reasoning on top
    cache_read = count(inside, "cached_tokens", "cache_read_input_tokens")
    if cache_read is None:
        cache_read = count(usage, "prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")
    return closed(
        replace(
            common,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cache_read_tokens=cache_read,
            cache_write_tokens=count(inside, "cache_write_tokens", "cache_creation_tokens"),
            reasoning_tokens=reasoning,
            web_search_requests=_searches(usage),
            reported_cost_usd=_reported_cost(usage),
            usage=units(
                input_audio_tokens=count(inside, "audio_tokens"),
                input_image_tokens=count(inside, "image_tokens"),
                input_video_tokens=count(inside, "video_tokens"),
                cache_audio_read_tokens=count(cached, "audio_tokens"),
                cache_image_read_tokens=count(cached, "image_tokens"),
                output_audio_tokens=count(outside, "audio_tokens"),
                output_image_tokens=count(outside, "image_tokens"),
                output_video_tokens=count(outside, "video_tokens"),
                output_citation_tokens=citations,
            ),
        ),
        note,
    )


def _usage(body: Body) -> Body:
    usage = section(body, "usage")
    if usage:
        return usage
    usage = section(section(body, "x_groq"), "usage")
    for choice in objects(body, "choices"):
        usage = section(choice, "usage") or usage
    return usage


def _is_perplexity(usage: Body) -> bool:
    return "citation_tokens" in usage or "num_search_queries" in usage


def _searches(usage: Body) -> int | None:
    tools = section(usage, "server_tool_use_details", "server_tool_use")
    found = count(tools, "web_search_requests")
    return count(usage, "num_search_queries") if found is None else found


def _reported_cost(usage: Body) -> float | None:
    cost = usage.get("cost")  # a number is OpenRouter's, see there
    return amount(cost, "total_cost") if isinstance(cost, Mapping) else None


def maker(model: str) -> str | None:
    """OpenAI, by the name of its own models. Others speak its language too; None: nothing says who."""
    return "openai" if _OWN_MODELS.match(model) else None


def _vendor(body: Body, usage: Body, model: str) -> str | None:
    """Who speaks OpenAI's language here, as far as the body gives it away."""
    if "x_groq" in body:
        return "groq"
    if "prompt_cache_hit_tokens" in usage:
        return "deepseek"
    if _is_perplexity(usage):
        return "perplexity"
    if "num_cached_tokens" in usage:
        return "mistral"
    return "azure" if body.get("prompt_filter_results") else maker(model)
