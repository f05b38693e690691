"""OpenRouter: OpenAI's shapes, and what the call cost.

Source: https://openrouter.ai/docs/use-cases/usage-accounting. `cost` is what OpenRouter charges; with a key of one's
own (`is_byok`) that is its fee only, and the model is paid upstream. Otherwise the upstream cost is inside `cost`, and
adding it would count twice (peers.md C55, C84).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agent_ledger.records import Inference
from agent_ledger.usage import openai, openai_responses
from agent_ledger.usage.counts import Body, amount, section, text


def recognises(body: Body) -> bool:
    if openai_responses.recognises(body):
        return _has_cost(body)
    return openai.recognises(body) and (_has_cost(body) or text(body, "provider") is not None)


def recognises_event(event: Body) -> bool:
    if openai_responses.recognises_event(event):
        return _has_cost(section(event, "response"))
    return openai.recognises_event(event) and (_has_cost(event) or text(event, "provider") is not None)


def _has_cost(body: Body) -> bool:
    usage = section(body, "usage")
    # Perplexity's cost is an object.
    return "is_byok" in usage or "cost_details" in usage or isinstance(usage.get("cost"), int | float)


def fold(events: Sequence[Body]) -> tuple[Body, str]:
    responses = any(openai_responses.recognises_event(event) for event in events)
    return openai_responses.fold(events) if responses else openai.fold(events)


def read(body: Body, provider: str | None, model: str | None, evidence: str) -> list[Inference]:
    dialect = openai_responses if openai_responses.recognises(body) else openai
    found = dialect.read(body, provider or "openrouter", model, evidence)
    cost = _reported_cost(section(body, "usage"))
    return [replace(one, reported_cost_usd=cost) if one.part == 0 else one for one in found]


def _reported_cost(usage: Body) -> float | None:
    cost = None if isinstance(usage.get("cost"), Mapping) else amount(usage, "cost")
    if cost is None or usage.get("is_byok") is not True:
        return cost
    upstream = amount(section(usage, "cost_details"), "upstream_inference_cost")
    return None if upstream is None else cost + upstream  # the fee alone is not the cost
