"""From one GenAI span, of whatever instrumentation, to what the ledger wants to know of it.

Source: the GenAI and MCP semantic conventions of OpenTelemetry, in all their spellings since 1.27; OpenInference
(openinference-semantic-conventions 0.1); OpenLLMetry (opentelemetry-semantic-conventions-ai 0.5); the spans that the
anthropic SDK 2.12, mcp 2.3, fastmcp 4.1, Pydantic AI and Vercel's AI SDK make themselves.
Input counts include cache reads and writes, for every provider: `uncached = input - cache reads - cache writes`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from agent_ledger import clock
from agent_ledger.errors import InvalidRecord
from agent_ledger.records import Inference
from agent_ledger.usage.counts import Body, amount, closed, count, hour_writes, model_name, text, total_note, units

Role = Literal["agent", "llm", "tool"]

STATED = ("agent_id", "customer_id", "feature", "request_id")
"""What `agent_ledger.…` attributes may say, on a span, on one around it, or (but for the request) on the resource."""

_LLM = {"chat", "text_completion", "generate_content", "embeddings"}
_AGENT = {"invoke_agent", "invoke_workflow"}
_NEITHER = re.compile(r"agent|workflow|tool|count_tokens|retriev|search|memory|plan|rerank|batch")
_INPUT = (
    "gen_ai.usage.input_tokens",
    "llm.token_count.prompt",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
)
_OUTPUT = (
    "gen_ai.usage.output_tokens",
    "llm.token_count.completion",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
)
_TOTAL = ("gen_ai.usage.total_tokens", "llm.token_count.total", "llm.usage.total_tokens")
_CACHE_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "gen_ai.usage.details.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
    "llm.token_count.prompt_details.cache_input",
    "ai.usage.cachedInputTokens",
)
_CACHE_WRITE = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
    "gen_ai.usage.details.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
_REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
    "llm.usage.reasoning_tokens",
    "ai.usage.reasoningTokens",
)
_5_MINUTES = "anthropic.usage.cache_creation.ephemeral_5m_input_tokens"
_1_HOUR = "anthropic.usage.cache_creation.ephemeral_1h_input_tokens"
_COMPACTED = ("anthropic.usage.compaction.input_tokens", "anthropic.usage.compaction.output_tokens")
_MODEL = (
    "gen_ai.response.model",
    "llm.response.model_name",
    "llm.model_name",
    "embedding.model_name",
    "gen_ai.request.model",
    "llm.request.model_name",
)
_TIER = (
    "openai.response.service_tier",
    "gen_ai.openai.response.service_tier",
    "anthropic.response.service_tier",
    "gen_ai.response.service_tier",
)
_COST = ("gen_ai.usage.cost", "gen_ai.usage.cost_usd", "llm.cost.total", "operation.cost")
_REQUEST_ID = ("anthropic.request.id", "aws.request_id", "openai.request.id")
_STREAMED = ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming")
_FINISHED = (
    "gen_ai.response.finish_reasons",
    "gen_ai.response.finish_reason",
    "gen_ai.response.stop_reason",
    "anthropic.message.stop_reason",
    "llm.finish_reason",
)
_TRACELOOP_ANTHROPIC = "opentelemetry.instrumentation.anthropic"
_RESPONSE_ID = re.compile(r'^\{"id": ?"([^"\\]+)"|"id": ?"(chatcmpl-[^"\\]+)"')
_PROVIDERS = {  # to the names that price lists use; what is not here stays as it is
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "vertex_ai": "google",
    "vertexai": "google",
    "google-vertex": "google",
    "aws.bedrock": "aws",
    "aws_bedrock": "aws",
    "bedrock": "aws",
    "amazon-bedrock": "aws",
    "azure.ai.openai": "azure",
    "az.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "az.ai.inference": "azure",
    "azure-openai": "azure",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "together_ai": "together",
    "moonshot_ai": "moonshotai",
}
_FRAMEWORKS = {"langchain", "crewai", "autogen", "litellm", "llamaindex", "pydantic_ai", "az.ai.agents"}  # no providers


@dataclass(frozen=True, slots=True)
class Span:
    """A span, finished or still open. Ids are hex; times are nanoseconds since 1970, None where they are not known."""

    trace_id: str
    span_id: str
    name: str
    attributes: Mapping[str, Any]
    kind: str = "internal"  # or client, server, producer, consumer
    scope: str = ""  # the name of the instrumentation
    status: str = "unset"  # or ok, error
    start_ns: int | None = None
    end_ns: int | None = None

    @property
    def failed(self) -> bool:
        """Did what the span stands for fail?"""
        return self.status == "error" or "error.type" in self.attributes

    @property
    def key(self) -> str:
        """An id that no other span has."""
        return f"{self.trace_id}:{self.span_id}"


def role(span: Span) -> Role | None:
    """What a span stands for. None: nothing that the ledger knows, or not for itself.

    A parent that carries the summed usage of the calls inside (an agent, a workflow, a chain) is no LLM call, and
    neither is counting tokens.
    """
    said = span.attributes
    if said.get("logfire.span_type") == "pending_span":
        return None  # a copy of a span that is still open
    if "mcp.method.name" in said:  # before the operation: it says execute_tool for these too
        delegates = "fastmcp.provider.type" in said  # from one server to another that is mounted on it
        return "tool" if said["mcp.method.name"] == "tools/call" and not delegates else None
    operation = text(said, "gen_ai.operation.name")
    if operation is not None:
        return _by_operation(operation, said)
    kind = (text(said, "openinference.span.kind", "traceloop.span.kind") or "").lower()
    if kind:
        return {"llm": "llm", "embedding": "llm", "tool": "tool", "agent": "agent"}.get(kind)  # type: ignore[return-value]
    if "ai.toolCall.name" in said:
        return "tool"
    if said.get("llm.request.type") in ("chat", "completion", "embedding"):
        return "llm"
    if not _has_usage(said) or text(said, *_MODEL) is None:
        return None
    names_agent = text(said, "gen_ai.agent.name", "agent_name") is not None
    return "agent" if names_agent and text(said, "gen_ai.response.id") is None else "llm"


def _by_operation(operation: str, said: Body) -> Role | None:
    if operation in _LLM:
        return "llm"
    if operation in _AGENT:
        return "agent"
    if operation == "execute_tool":
        return "tool"
    return "llm" if _has_usage(said) and not _NEITHER.search(operation) else None


def _has_usage(said: Body) -> bool:
    return any(name in said for name in (*_INPUT, *_OUTPUT))


# -- who --------------------------------------------------------------------------------------------------------------


def agent(span: Span, what: Role | None) -> str | None:
    """The agent that a span names: by its name, because ids are often made anew by each process, else by its id."""
    said = span.attributes
    found = text(said, "gen_ai.agent.name", "gen_ai.agent.id")
    if found is None and what == "agent":
        found = text(said, "agent.name", "agent_name", "graph.node.name", "graph.node.id", "traceloop.entity.name")
        if found is None and span.name.startswith("invoke_agent "):
            found = span.name.removeprefix("invoke_agent ").strip() or None
    return found


def session(said: Mapping[str, Any]) -> str | None:
    """The conversation that a span belongs to."""
    return text(said, "gen_ai.conversation.id", "session.id")


def stated(said: Mapping[str, Any]) -> dict[str, str]:
    """What the user says with `agent_ledger.…` attributes."""
    return {name: value for name in STATED if (value := text(said, f"agent_ledger.{name}")) is not None}


def moment(nanoseconds: int | None) -> str:
    """The time as ledger text. Raises InvalidRecord where there is none, or none that a calendar has."""
    try:
        if nanoseconds is None or nanoseconds <= 0:
            raise ValueError
        seconds, rest = divmod(nanoseconds, 10**9)
        return clock.timestamp(datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000))
    except (OSError, OverflowError, ValueError):
        raise InvalidRecord("ts", nanoseconds, "give the span's start in nanoseconds since 1970, or --ts") from None


# -- LLM calls --------------------------------------------------------------------------------------------------------


def inferences(span: Span, *, provider: str | None = None, model: str | None = None) -> list[Inference]:
    """What an LLM span used; nothing where the call failed without using anything.

    `provider` and `model` stand in where the span names none. A span of Anthropic's SDK that tells of compactions
    gives a second inference: their tokens are not in its counts. Raises UnknownUsage for counts that are none.
    """
    said = _numbers(span.attributes)
    prompt, completion = count(said, *_INPUT), count(said, *_OUTPUT)
    if span.failed and prompt is None and completion is None:
        return []
    if completion is None and _is_embedding(said):
        completion = 0
    read, reasoning = count(said, *_CACHE_READ), count(said, *_REASONING)
    written, hour, note = hour_writes(count(said, *_CACHE_WRITE), count(said, _5_MINUTES), count(said, _1_HOUR))
    total = count(said, *_TOTAL)
    sums = total_note(total, prompt, completion)
    if sums and total_note(total, prompt, (completion or 0) + (reasoning or 0)) is None:
        completion, sums = (completion or 0) + (reasoning or 0), None  # reasoning beside the output, as Gemini has it
    elif sums and total_note(total, (prompt or 0) + (read or 0) + (written or 0), completion) is None:
        prompt, sums = (prompt or 0) + (read or 0) + (written or 0), None  # the cache beside the input, as Anthropic's
    evidence, doubt = _evidence(span)
    call = Inference(
        model=model_name(text(said, *_MODEL), model),
        provider=_provider(said) or provider,
        response_id=response_id(said),
        prompt_tokens=prompt,
        completion_tokens=completion,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=hour,
        reasoning_tokens=reasoning,
        service_tier=text(said, *_TIER),
        evidence=evidence,
        reported_cost_usd=next((cost for name in _COST if (cost := amount(said, name)) is not None), None),
        usage=units(
            input_audio_tokens=count(said, "llm.token_count.prompt_details.audio"),
            output_audio_tokens=count(said, "llm.token_count.completion_details.audio"),
        ),
    )
    return [closed(call, note, sums, doubt), *_compaction(said, call)]


def _compaction(said: Body, call: Inference) -> list[Inference]:
    prompt, completion = (count(said, name) for name in _COMPACTED)
    if not prompt and not completion:
        return []
    note = "the span sums up compactions and does not say what of their input was cached"
    plain = Inference(model=call.model, prompt_tokens=prompt, completion_tokens=completion, part=1, anomaly=note)
    kept = ("provider", "response_id", "service_tier", "evidence")
    return [replace(plain, **{name: getattr(call, name) for name in kept})]


def _numbers(said: Body) -> Body:
    """The attributes, with counts that were written as text as the numbers that they are."""
    if not any(isinstance(said.get(name), str) for name in (*_INPUT, *_OUTPUT)):
        return said
    names = {*_INPUT, *_OUTPUT, *_TOTAL, *_CACHE_READ, *_CACHE_WRITE, *_REASONING, _5_MINUTES, _1_HOUR}
    return {
        name: int(value) if name in names and isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value) else value
        for name, value in said.items()
    }


def _is_embedding(said: Body) -> bool:
    kinds = (said.get("gen_ai.operation.name"), said.get("openinference.span.kind"), said.get("llm.request.type"))
    return any(kind in ("embeddings", "EMBEDDING", "embedding") for kind in kinds)


def _evidence(span: Span) -> tuple[str, str | None]:
    """How good the counts are, and what to say about them."""
    said = span.attributes
    streamed = any(said.get(name) is True for name in _STREAMED)
    streamed = streamed or '"stream": true' in (text(said, "llm.invocation_parameters") or "")
    if span.scope == _TRACELOOP_ANTHROPIC:
        # OpenLLMetry takes the input of a stream from its first event, and adds up the output of the first and the last
        # (0.62.4: wrong in 64 of 65 recorded streams). It does not always say that it was a stream, so that any other
        # account of the response is to be preferred.
        return "partial", "OpenLLMetry counts the tokens of Anthropic's streams wrongly" if streamed else None
    if span.failed or (streamed and span.status != "ok" and not any(said.get(name) for name in _FINISHED)):
        return "partial", None
    return "span", None


def response_id(said: Mapping[str, Any]) -> str | None:
    """The provider's id of the response.

    OpenInference has no attribute for it, but records the response as it came: only its id is taken from there.
    """
    found = text(said, "gen_ai.response.id", "ai.response.id")
    output = said.get("output.value")
    if found is None and isinstance(output, str) and (match := _RESPONSE_ID.search(output)):
        found = match[1] or match[2]
    return found


def request_id(said: Mapping[str, Any]) -> str | None:
    """The provider's id of the request. Most emitters don't record it."""
    found = text(said, *_REQUEST_ID)
    for name in ("http.response.header.x-request-id", "http.response.header.request-id"):
        values = said.get(name)
        if found is None and isinstance(values, list | tuple) and values:
            found = text({"": values[0]}, "")
    return found


def _provider(said: Body) -> str | None:
    """Who runs the model, as the price lists name them: OpenTelemetry's gcp.vertex_ai is google."""
    found = (text(said, "gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system") or "").lower()
    if not found or found in _FRAMEWORKS:
        return None
    if found in _PROVIDERS:
        return _PROVIDERS[found]
    first = found.partition(".")[0]  # Vercel's anthropic.messages, google.generative-ai, azure-openai.chat
    return _PROVIDERS.get(first, first if first in ("openai", "anthropic", "google", "mistral", "xai") else found)
