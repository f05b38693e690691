"""The tokens, the model and the provider of what LiteLLM logged, in the ledger's terms."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agent_ledger.errors import InvalidRecord
from agent_ledger.records import Inference
from agent_ledger.usage import inferences as read
from agent_ledger.usage.counts import count, hour_writes, objects, text
from agent_ledger.usage.openai import maker

Record = Mapping[str, Any]

# LiteLLM's names of providers -> the ledger's, where they differ. None: a server of one's own, or nobody knows whose.
_PROVIDERS: dict[str, str | None] = {
    "aiohttp_openai": "openai",
    "amazon_nova": "aws",
    "anthropic_text": "anthropic",
    "azure_ai": "azure",
    "azure_text": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "bedrock_mantle": "aws",
    "codestral": "mistral",
    "cohere_chat": "cohere",
    "custom": None,
    "custom_openai": None,
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "github_copilot": "github-copilot",
    "hosted_vllm": None,
    "litellm_proxy": None,
    "meta_llama": "meta",
    "moonshot": "moonshotai",
    "ollama_chat": "ollama",
    "openai_like": None,
    "text-completion-codestral": "mistral",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "vllm": None,
    "voyage": "voyageai",
    "xai": "x-ai",
}
_SAME = frozenset(("anthropic", "azure", "cohere", "deepseek", "groq", "mistral", "openai", "openrouter", "perplexity"))
# How a provider is to be talked to, which LiteLLM writes between its prefix and the model.
_ROUTE = re.compile(r"(converse|converse_like|invoke|responses|chat|[a-z]{2}(-[a-z]+)+-\d)/")
_MADE_UP = re.compile(r"chatcmpl-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_GIVES_SUCH_IDS = frozenset(("groq", "hosted_vllm", "vllm", "openai_like", "custom_openai", "litellm_proxy"))
_MANAGED = re.compile(r"litellm:.*;response_id:([^;]+)")
_SERVES_CLAUDE = ("anthropic", "aws", "azure", "google")  # with Anthropic's own usage
_OWN = ("message", "fallback_message")  # iterations of the model that answered
_UNCOUNTED = "LiteLLM logged no token counts; a stream has them with stream_options={'include_usage': True}"


def number(log: Record, name: str) -> float | int | None:
    """The number under `name`, which is text in a CSV; None where there is none.

    Raises InvalidRecord for what is no number.
    """
    value = log.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            return int(value) if value.isdecimal() else float(value)
        except ValueError:
            pass
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRecord(name, value, "a number is expected")
    return value


def section(holder: Record, *path: str) -> Record:
    """The object that `path` leads to, an empty one where there is none."""
    found: Any = holder
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def response_id(own_id: str | None) -> str | None:
    """The provider's id of the response, where LiteLLM has packed it into an id of its own."""
    if own_id is not None and own_id.startswith("resp_"):
        try:
            unpacked = base64.b64decode(own_id.removeprefix("resp_"), validate=True).decode()
        except (binascii.Error, ValueError):
            return own_id
        found = _MANAGED.fullmatch(unpacked)
        return found[1] if found else own_id
    return own_id


def is_made_up(found: str, log: Record) -> bool:
    """Did LiteLLM make up this id of a response, because the provider's is lost?"""
    return bool(_MADE_UP.fullmatch(found)) and text(log, "custom_llm_provider") not in _GIVES_SUCH_IDS


def inferences(log: Record) -> list[Inference]:
    """What the call used: one inference, or one for each iteration that Anthropic tells of.

    Where there are no counts they are unknown, and `anomaly` says so. Raises UnknownUsage for counts that are none.
    """
    model, provider = _model_and_provider(log)
    prompt, completion = number(log, "prompt_tokens"), number(log, "completion_tokens")
    if "embedding" in str(log.get("call_type")):
        completion = 0
    if not prompt and not completion:
        unknown = Inference(model=model, provider=provider, prompt_tokens=None, completion_tokens=None)
        return [replace(unknown, anomaly=_UNCOUNTED)]
    total = number(log, "total_tokens") or None
    usage = {
        **_searched(log),
        **_usage(log),
        "total_tokens": total,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
    }
    tier = _service_tier(log, usage)
    if "claude" in model and provider in _SERVES_CLAUDE:
        found = _as_anthropic(usage, model, provider, tier)
    else:
        found = _as_openai(usage, model, provider, tier)
    batch = section(log, "hidden_params").get("batch_models") or section(log, "metadata").get("batch_models")
    if isinstance(batch, list) and len(set(map(str, batch))) > 1:
        found = [
            replace(one, anomaly=f"a batch of several models: {', '.join(sorted(map(str, batch)))}") for one in found
        ]
    return found


def _usage(log: Record) -> dict[str, Any]:
    """The provider's usage as LiteLLM understood it, in OpenAI's words."""
    metadata = section(log, "metadata")
    places = (section(log, "response", "usage"), metadata.get("usage_object"), metadata.get("additional_usage_values"))
    usage: dict[str, Any] = {}
    for place in places:
        if isinstance(place, Mapping):
            usage |= {name: value for name, value in place.items() if value is not None}
    if "is_byok" not in usage and "cost_details" not in usage:
        usage.pop("cost", None)  # LiteLLM's own computation, unless it is OpenRouter's
    return usage


def _searched(log: Record) -> dict[str, Any]:
    """Web searches that an answer of OpenAI's Responses lists; its usage does not count them."""
    response = section(log, "response")
    if not isinstance(response.get("output"), list):
        return {}
    body = {**response, "object": "response", "usage": {"input_tokens": 0, "output_tokens": 0}}
    return {"server_tool_use": {"web_search_requests": read(body, model="-")[0].web_search_requests}}


def _service_tier(log: Record, usage: Record) -> str | None:
    if "retrieve_batch" in str(log.get("call_type")):
        return "batch"
    breakdown = section(log, "cost_breakdown") or section(log, "metadata", "cost_breakdown")
    return (
        text(usage, "service_tier") or text(section(log, "response"), "service_tier") or text(breakdown, "service_tier")
    )


def _model_and_provider(log: Record) -> tuple[str, str | None]:
    """The model that answered, as its provider names it, and who that is."""
    asked, answered = text(log, "model"), text(section(log, "response"), "model")
    if answered == text(log, "model_group") and asked:
        answered = None  # the name that the router's user gave to a group of models
    batch = section(log, "hidden_params").get("batch_models") or section(log, "metadata").get("batch_models")
    if isinstance(batch, list) and batch:
        answered = str(batch[0])
    named = answered or asked
    if named is None:
        raise InvalidRecord("model", log.get("model"), "the record names no model")
    prefix, slash, _ = (asked or named).partition("/")
    litellm_name = text(log, "custom_llm_provider") or (prefix if slash and prefix in _SAME | set(_PROVIDERS) else "")
    model = _bare(named, litellm_name)
    provider = _PROVIDERS.get(litellm_name, litellm_name or None)
    if provider == "openai" or (provider is None and not litellm_name):
        provider = maker(model)  # others speak OpenAI's language too
    elif provider == "anthropic" and "claude" not in model:
        provider = None
    return model, provider


def _bare(model: str, litellm_name: str) -> str:
    if litellm_name:
        model = model.removeprefix(f"{litellm_name}/")
    return _ROUTE.sub("", model, count=1) if _ROUTE.match(model) else model


def _written(usage: Record) -> tuple[int | None, int | None, int | None]:
    """Cache writes: all of them, and what is known of five minutes and of an hour."""
    inside = section(usage, "prompt_tokens_details")
    split = section(inside, "cache_creation_token_details")
    written = count(usage, "cache_creation_input_tokens")
    if written is None:
        written = count(inside, "cache_creation_tokens", "cache_write_tokens")
    minutes, hour = (count(split, f"ephemeral_{life}_input_tokens") for life in ("5m", "1h"))
    return written, minutes, hour


def _read(usage: Record) -> int | None:
    found = count(section(usage, "prompt_tokens_details"), "cached_tokens")
    return count(usage, "cache_read_input_tokens") if found is None else found


def _searches(usage: Record) -> int | None:
    found = count(section(usage, "server_tool_use"), "web_search_requests")
    return count(section(usage, "prompt_tokens_details"), "web_search_requests") if found is None else found


def _as_openai(usage: Record, model: str, provider: str | None, tier: str | None) -> list[Inference]:
    body = {"object": "chat.completion", "model": model, "choices": [], "usage": usage}
    found = read({**body, "service_tier": tier} if tier else body, provider)
    written, minutes, hour = _written(usage)
    one = replace(found[0], provider=provider, web_search_requests=found[0].web_search_requests or _searches(usage))
    if one.cache_write_tokens is not None and (minutes or hour):
        _, hour, note = hour_writes(written, minutes, hour)
        one = replace(one, cache_write_1h_tokens=hour, anomaly="; ".join(filter(None, (one.anomaly, note))) or None)
    return [one]


def _as_anthropic(usage: Record, model: str, provider: str | None, tier: str | None) -> list[Inference]:
    """In Anthropic's words, so that the row is the one that Anthropic's own answer makes."""
    cached, (written, minutes, hour) = _read(usage), _written(usage)
    prompt, completion = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    fresh = (prompt or 0) - (cached or 0) - (written or 0)
    if fresh < 0:
        return _as_openai(usage, model, provider, tier)
    whole: dict[str, Any] = {
        "input_tokens": fresh,
        "output_tokens": completion,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "cache_creation": {"ephemeral_5m_input_tokens": minutes, "ephemeral_1h_input_tokens": hour},
    }
    if iterations := objects(usage, "iterations"):
        # LiteLLM sums up all of them; Anthropic only those of the model that answered.
        own = [one for one in iterations if one.get("type") in _OWN]
        names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        whole = {name: sum(count(one, name) or 0 for one in own) for name in names}
    whole |= {
        "iterations": iterations or None,
        "output_tokens_details": {
            "thinking_tokens": count(section(usage, "completion_tokens_details"), "reasoning_tokens")
        },
        "server_tool_use": {"web_search_requests": _searches(usage)},
        "service_tier": tier,
        **{name: usage.get(name) for name in ("inference_geo", "speed")},
    }
    found = read({"type": "message", "content": [], "model": model, "usage": whole}, provider)
    return [replace(one, provider=provider) for one in found]
