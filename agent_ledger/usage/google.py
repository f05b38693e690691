"""Gemini: `generateContent` of the Gemini API and of Vertex AI, a stream of it, and embeddings.

Source: google-genai 3.4 `types.py` (GenerateContentResponseUsageMetadata), https://ai.google.dev/api/generate-content.
Cached tokens are inside `promptTokenCount`; tokens that tools put into the prompt and thoughts come on top, unless
`totalTokenCount` says otherwise. Names are camelCase in JSON and snake_case in the SDK.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent_ledger.records import Inference
from agent_ledger.usage.counts import Body, closed, count, model_name, objects, section, text, units

# A zero is left out in Google's JSON, so a count is missing either because it is 0 or because nothing is known yet.
_PROMPT = ("promptTokenCount", "prompt_token_count")
_TOTAL = ("totalTokenCount", "total_token_count")
# Some clients write protobuf's numbers instead of its names. A document is read as images (genai-prices does so too).
_MODALITIES = {"IMAGE": "image", "VIDEO": "video", "AUDIO": "audio", "DOCUMENT": "image"}
_MODALITY_NUMBERS = {2: "IMAGE", 3: "VIDEO", 4: "AUDIO", 5: "DOCUMENT"}
_TRAFFIC_NUMBERS = {1: "on_demand", 2: "provisioned_throughput"}


def recognises(body: Body) -> bool:
    return recognises_event(body) or _is_embedding(body)


def recognises_event(event: Body) -> bool:
    return any(name in event for name in ("candidates", "promptFeedback", "prompt_feedback")) or bool(_usage(event))


def _is_embedding(body: Body) -> bool:
    embeddings = [body.get("embedding"), *objects(body, "embeddings")]
    return any(isinstance(one, Mapping) and "values" in one for one in embeddings)


def _usage(body: Body) -> Body:
    return section(body, "usageMetadata", "usage_metadata")


def fold(events: Sequence[Body]) -> tuple[Body, str]:
    """The response that the chunks amount to: the last chunk's usage as a whole.

    Chunks repeat the usage so far, and neither their sum nor the largest of each count is right: totals may fall from
    one chunk to the next (formats.md 2.3).
    """
    body: dict[str, Any] = {}
    candidates: list[Body] = []
    finished = False
    for event in events:
        for name in ("responseId", "response_id", "modelVersion", "model_version"):
            if text(event, name):
                body[name] = event[name]
        usage = _usage(event)
        if count(usage, *_PROMPT, *_TOTAL) is not None or "usageMetadata" not in body:
            body["usageMetadata"] = usage
        found = objects(event, "candidates")
        candidates += found
        blocked = section(event, "promptFeedback", "prompt_feedback")
        finished = finished or bool(blocked)
        finished = finished or any(one.get("finishReason") or one.get("finish_reason") for one in found)
    return {**body, "candidates": candidates}, "stream" if finished else "partial"


def read(body: Body, provider: str | None, model: str | None, evidence: str) -> list[Inference]:
    usage = _usage(body)
    name = model_name(text(body, "modelVersion", "model_version"), model)
    own = count(usage, *_PROMPT)
    tool = count(usage, "toolUsePromptTokenCount", "tool_use_prompt_token_count")
    thoughts = count(usage, "thoughtsTokenCount", "thoughts_token_count")
    cached = count(usage, "cachedContentTokenCount", "cached_content_token_count")
    visible = count(usage, "candidatesTokenCount", "candidates_token_count", "responseTokenCount")
    total = count(usage, *_TOTAL)
    known = own is not None or total is not None
    prompt = (own or 0) + (tool or 0) if known else None
    completion, note = _output(prompt, visible, thoughts, total)
    if _is_embedding(body):
        completion = 0
    if cached is not None and own is not None and cached > own:
        # Cached tokens are among those of the prompt itself, not among those that tools put there.
        note = f"{cached} cached tokens exceed the {own} tokens of the prompt"
        cached = None
    return [
        closed(
            Inference(
                model=name,
                provider=provider or "google",
                response_id=text(body, "responseId", "response_id"),
                prompt_tokens=prompt,
                completion_tokens=completion,
                cache_read_tokens=cached,
                reasoning_tokens=thoughts,
                web_search_requests=_searches(body, name),
                service_tier=_tier(usage),
                evidence=evidence,
                usage=_modalities(usage),
            ),
            note,
        )
    ]


def _output(
    prompt: int | None, visible: int | None, thoughts: int | None, total: int | None
) -> tuple[int | None, str | None]:
    """All output tokens, and what to say where the total is not theirs and the prompt's sum."""
    if prompt is None:
        return visible, None
    shown, thought = visible or 0, thoughts or 0
    if total is None or total == prompt + shown + thought:
        return shown + thought, None
    if total == prompt + shown:
        return shown, None  # the candidates include the thoughts
    output = shown + thought
    return output, f"the total is {total}, but {prompt} input and {output} output tokens were reported"


def _modalities(usage: Body) -> dict[str, int | float] | None:
    sums: dict[str, int | None] = {}
    for unit, names in (
        ("input_{}_tokens", ("promptTokensDetails", "prompt_tokens_details")),
        ("input_{}_tokens", ("toolUsePromptTokensDetails", "tool_use_prompt_tokens_details")),
        ("cache_{}_read_tokens", ("cacheTokensDetails", "cache_tokens_details")),
        ("output_{}_tokens", ("candidatesTokensDetails", "candidates_tokens_details", "responseTokensDetails")),
    ):
        for detail in objects(usage, *names):
            modality = detail.get("modality")
            kind = _MODALITIES.get(_MODALITY_NUMBERS.get(modality, "") if isinstance(modality, int) else modality or "")
            if kind:
                key = unit.format(kind)
                sums[key] = (sums.get(key) or 0) + (count(detail, "tokenCount", "token_count") or 0)
    return units(**sums)


def _searches(body: Body, model: str) -> int | None:
    """Billed Google searches. Up to Gemini 2.5 a grounded prompt is billed once, later each query is.

    https://ai.google.dev/gemini-api/docs/google-search#pricing
    """
    queries: set[str] = set()
    for candidate in objects(body, "candidates"):
        grounding = section(candidate, "groundingMetadata", "grounding_metadata")
        found = grounding.get("webSearchQueries") or grounding.get("web_search_queries") or []
        queries |= {query for query in found if isinstance(query, str) and query}
    if not queries:
        return None
    per_prompt = any(part in model for part in ("gemini-1", "gemini-2"))
    return 1 if per_prompt else len(queries)


def _tier(usage: Body) -> str | None:
    """As Google says, in lower case: standard, flex, priority (Gemini API); on_demand, … (Vertex AI)."""
    traffic = usage.get("trafficType", usage.get("traffic_type"))
    if isinstance(traffic, int):
        return _TRAFFIC_NUMBERS.get(traffic)
    tier = text(usage, "serviceTier", "service_tier", "trafficType", "traffic_type")
    return None if tier is None or tier.lower().endswith("unspecified") else tier.lower()
