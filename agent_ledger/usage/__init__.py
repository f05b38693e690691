"""From what an LLM provider answers to `Inference` records, in one convention: all input, all output.

Which provider's language a body speaks is told by its shape. `provider` is stored as given, and where it is not given
the shape's own: "anthropic", "openai" (for its own models, where no other vendor shows), "openrouter", "google", "aws".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from agent_ledger.errors import UnknownUsage
from agent_ledger.records import Inference
from agent_ledger.usage import anthropic, batch, bedrock, google, openai, openai_responses, openrouter
from agent_ledger.usage.counts import Body
from agent_ledger.usage.other import is_no_inference
from agent_ledger.usage.sse import sse_events

__all__ = ["inferences", "inferences_from_events", "sse_events"]


class _Dialect(Protocol):
    """What each provider's file offers."""

    def recognises(self, body: Body) -> bool:
        """Is this a complete response of this shape?"""

    def recognises_event(self, event: Body) -> bool:
        """Does this event belong to a stream of this shape?"""

    def fold(self, events: Sequence[Body]) -> tuple[Body, str]:
        """The response that a stream amounts to, and the evidence for it: "stream", or "partial" if it was cut."""

    def read(self, body: Body, provider: str | None, model: str | None, evidence: str) -> list[Inference]:
        """The inferences of a response."""


# The first that recognises wins. OpenRouter speaks OpenAI and says more.
_DIALECTS: tuple[_Dialect, ...] = (anthropic, openrouter, openai_responses, openai, google, bedrock)


def inferences(
    body: Mapping[str, Any] | Sequence[Mapping[str, Any]], provider: str | None = None, *, model: str | None = None
) -> list[Inference]:
    """The inferences of a complete response body, or of one line of a batch's results.

    `model` is taken where the body names none, as with Bedrock. A list is what Gemini streams without SSE. Answers that
    are no inference, such as errors and token counts, give an empty list; a finished one without usage gives one
    with unknown tokens. Raises UnknownUsage for shapes that nobody here knows.
    """
    if isinstance(body, Sequence) and not isinstance(body, str | bytes):
        return inferences_from_events(body, provider, model=model)
    if not isinstance(body, Mapping):
        raise UnknownUsage(f"A response is a {type(body).__name__}: pass its decoded JSON, or a model's model_dump().")
    if batch.recognises(body):
        answer = batch.answer(body)
        found = [] if answer is None else inferences(answer, provider, model=model)
        return [replace(one, service_tier="batch") for one in found]
    if is_no_inference(body):
        return []
    for dialect in _DIALECTS:
        if dialect.recognises(body):
            return dialect.read(body, provider, model, "response")
    raise UnknownUsage(
        f"A response with the fields {_listed(body)} is of no known shape: record the call with token counts of your "
        "own, and report the shape."
    )


def inferences_from_events(
    events: Iterable[Mapping[str, Any]], provider: str | None = None, *, model: str | None = None
) -> list[Inference]:
    """The inferences of a stream's decoded events, in order.

    `evidence` is "stream", or "partial" where the stream ended before its usage was final. Otherwise as `inferences`.
    """
    given = list(events)
    for event in given:
        if not isinstance(event, Mapping):
            raise UnknownUsage(f"A stream's event is a {type(event).__name__}: pass the decoded JSON objects.")
    for dialect in _DIALECTS:
        if any(dialect.recognises_event(event) for event in given):
            body, evidence = dialect.fold(given)
            return dialect.read(body, provider, model, evidence)
    if given and all(is_no_inference(event) for event in given):
        return []
    if len(given) == 1:
        return inferences(given[0], provider, model=model)  # a server that does not stream answers in one piece
    fields = " / ".join(_listed(event) for event in given[:3]) or "none"
    raise UnknownUsage(
        f"A stream whose events have the fields {fields} is of no known shape: record the call with token counts of "
        "your own, and report the shape."
    )


def _listed(body: Mapping[str, Any]) -> str:
    names = ", ".join(sorted(str(name) for name in body)) or "none"
    return names if len(names) <= 120 else f"{names[:117]}..."
