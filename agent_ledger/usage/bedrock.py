"""Amazon Bedrock: Converse and its stream, and the bodies of InvokeModel that belong to no other file here.

Source: botocore 1.44.5 `bedrock-runtime` (TokenUsage, CacheDetail), the user guide's pages on model parameters.
Converse names no model, so the caller does. Claude and Nova count cache reads and writes beside `inputTokens`, some
others inside (peers.md C14): `totalTokens` decides. InvokeModel returns the vendor's own body; Claude's is Anthropic's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agent_ledger.records import Inference
from agent_ledger.usage.counts import Body, closed, count, hour_writes, model_name, objects, section, text

_METRICS = "amazon-bedrock-invocationMetrics"  # at the end of every stream of InvokeModel
_CONVERSE_EVENTS = {"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop"}


def recognises(body: Body) -> bool:
    usage = section(body, "usage")
    if "inputTokens" in usage or ("stopReason" in body and "output" in body):
        return True
    return _METRICS in body or _vendor_counts(body) is not None


def recognises_event(event: Body) -> bool:
    if "inputTokens" in section(section(event, "metadata"), "usage") or _CONVERSE_EVENTS & event.keys():
        return True
    # Undecoded events of the wire have lost their name, which stands in a header.
    return {"contentBlockIndex", "p"} & event.keys() != set() or recognises(event)


def fold(events: Sequence[Body]) -> tuple[Body, str]:
    """The response that the events amount to; the `metadata` event carries the usage, at the end."""
    body: dict[str, Any] = {"output": {}, "stopReason": None}
    finished = False
    for event in events:
        metadata = section(event, "metadata") or event
        for name in ("usage", "trace", "serviceTier", _METRICS):
            value = metadata.get(name) or event.get(name)
            if value is not None:
                body[name] = value
                finished = True
        if "ResponseMetadata" in event:  # not on the wire: boto3 knows it
            body["ResponseMetadata"] = event["ResponseMetadata"]
        finished = finished or "messageStop" in event or "stopReason" in event
    return body, "stream" if finished else "partial"


def read(body: Body, provider: str | None, model: str | None, evidence: str) -> list[Inference]:
    routed = section(section(body, "trace"), "promptRouter")
    common = Inference(
        model=model_name(text(routed, "invokedModelId"), model),
        provider=provider or "aws",
        response_id=text(section(body, "ResponseMetadata"), "RequestId"),
        prompt_tokens=None,
        completion_tokens=None,
        service_tier=text(section(body, "serviceTier"), "type"),
        evidence=evidence,
    )
    usage = section(body, "usage")
    if usage:
        return [_converse(usage, common)]
    metrics = section(body, _METRICS)
    if metrics:
        # inputTokenCount, cacheReadInputTokenCount, … are Converse's inputTokens, cacheReadInputTokens, …
        usage = {f"{name.removesuffix('Count')}s": value for name, value in metrics.items() if name.endswith("Count")}
        return [_converse(usage, common)]
    prompt, completion = _vendor_counts(body) or (None, None)
    return [replace(common, prompt_tokens=prompt, completion_tokens=completion)]


def _converse(usage: Body, common: Inference) -> Inference:
    given, completion = count(usage, "inputTokens"), count(usage, "outputTokens")
    read = count(usage, "cacheReadInputTokens", "cacheReadInputTokenCount")
    details = objects(usage, "cacheDetails")
    written, hour, note = hour_writes(
        count(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount"),
        _written(details, "5m"),
        _written(details, "1h"),
    )
    prompt, doubt = _prompt(given, (read or 0) + (written or 0), completion, count(usage, "totalTokens"))
    return closed(
        replace(
            common,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cache_read_tokens=read,
            cache_write_tokens=written,
            cache_write_1h_tokens=hour,
        ),
        note,
        doubt,
    )


def _written(details: list[Body], lifetime: str) -> int | None:
    """Cache writes that live so long; 0 where only others are listed, None where nothing is."""
    if not details:
        return None
    return sum(count(detail, "inputTokens") or 0 for detail in details if detail.get("ttl") == lifetime)


def _prompt(given: int | None, cached: int, completion: int | None, total: int | None) -> tuple[int | None, str | None]:
    """All input tokens: does `inputTokens` include the cache? The total tells; without one, AWS documents that not."""
    if given is None:
        return None, None
    if not cached and total is None:
        return given, None
    if total is None:
        return given + cached, f"no total tells whether {given} input tokens include {cached} cached ones: taken as not"
    if total == given + cached + (completion or 0):
        return given + cached, None
    if total == given + (completion or 0):
        return given, None
    return given + cached, (
        f"the total is {total}, but {given} input, {cached} cached and {completion} output tokens were reported"
    )


def _vendor_counts(body: Body) -> tuple[int | None, int | None] | None:
    """Input and output tokens of a body of InvokeModel in its vendor's own shape, None where it is none of these.

    Cohere's and Mistral's bodies have no counts; these are in response headers only.
    """
    if "generation" in body and "stop_reason" in body:  # Llama
        return count(body, "prompt_token_count"), count(body, "generation_token_count")
    if "inputTextTokenCount" in body:  # Titan
        outputs = [count(result, "tokenCount") or 0 for result in objects(body, "results")]
        return count(body, "inputTextTokenCount"), 0 if "embedding" in body else sum(outputs)
    if "generations" in body and "prompt" in body:  # Cohere Command
        return None, None
    if "embeddings" in body and "response_type" in body:  # Cohere Embed
        return None, 0
    outputs_of_mistral = objects(body, "outputs")
    if outputs_of_mistral and all("stop_reason" in output for output in outputs_of_mistral):
        return None, None
    return None
