"""OpenTelemetry, live: GenAI spans of a running program become rows, and rows become the standard metric.

    provider.add_span_processor(LedgerSpanProcessor(ledger))

It sees what the sampler lets through: with a sampler that drops traces, their calls are missing.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent_ledger import attribution
from agent_ledger.attribution import Attribution, Run
from agent_ledger.capture.exchange import UNATTRIBUTED, Stamps, warn_once
from agent_ledger.errors import InvalidRecord, UnknownUsage
from agent_ledger.importers import span_tree, spans
from agent_ledger.importers.span_tree import Mark, Node
from agent_ledger.importers.spans import Span
from agent_ledger.records import Inference
from agent_ledger.usage.counts import text

try:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider, get_meter
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
    from opentelemetry.sdk.trace import Span as LiveSpan
    from opentelemetry.trace import get_current_span
except ImportError as error:
    raise ImportError(
        "agent_ledger.capture.otel needs opentelemetry-sdk: pip install 'agent-cost-ledger[otel]'"
    ) from error

_log = logging.getLogger("agent_ledger")
_MOST_OPEN = 65_536  # spans; those that are never ended would pile up
_MOST_ENDED = 1_024  # for children that start late
_MOST_RESPONSES = 4_096
_MOST_ANSWERS = 256  # LLM calls per span, and announced tool calls per trace
_TELLING = 20  # characters: a shorter response id may be a counter that starts again
_BUCKETS = [4.0**power for power in range(14)]  # of the semantic conventions: 1 to 67,108,864
_OTEL_PROVIDERS = {
    "aws": "aws.bedrock",
    "azure": "azure.ai.openai",
    "google": "gcp.gen_ai",
    "mistral": "mistral_ai",
    "moonshotai": "moonshot_ai",
    "x-ai": "x_ai",
}

Listener = Callable[[str, Mapping[str, Any]], None]
_Key = tuple[int, int]


class Told(Protocol):
    """What tells of each row that it records: a `Ledger`."""

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener("ledger" or "audit", fields)` for each row from now on, until the returned function is."""


class StampsAndTells(Stamps, Told, Protocol):
    """A `Ledger`."""


@dataclass(slots=True, eq=False)
class _LiveNode(Node):
    """A span that is open, or a light trace of one that has ended."""

    source: ReadableSpan | None = None
    seen: int = -1  # how many attributes there were when it was last looked at
    here: Attribution = field(default_factory=Attribution)
    run: Run | None = None
    last_request_id: str | None = None
    counted: bool = False  # among the LLM calls that its run has under way
    recorded_as: str | None = None  # the request id under which another observer recorded the call, while it was open

    def look(self) -> Mark:
        """What the span says by now: frameworks add attributes while it is open."""
        if self.source is not None:
            count = len(self.source.attributes or ())
            if count != self.seen:
                self.mark, self.seen = span_tree.mark(_converted(self.source)), count
        return self.mark


class LedgerSpanProcessor(SpanProcessor):
    """Records the LLM calls and tool calls that any instrumentation makes spans of.

    The agent of a call is that of an `agent_ledger.agent_id` attribute of its span or of one around it; else that of
    `attribute(…)`; else the one that the span, or the nearest around it, names (gen_ai.agent.name, gen_ai.agent.id);
    else the resource's `agent_ledger.agent_id`, else `agent_id`. `agent_ledger.customer_id`, `.feature` and
    `.request_id` are attributes like it. A client that is also given to `ledger.instrument` is counted once: both
    accounts name the same response. Never raises.
    """

    def __init__(
        self,
        ledger: StampsAndTells,
        agent_id: str | None = None,
        *,
        customer_id: str | None = None,
        feature: str | None = None,
        session_id: str | None = None,
    ) -> None:
        self._stamps = ledger
        self._defaults = Attribution(agent_id, customer_id, feature, session_id)
        self._lock = threading.Lock()
        self._open: dict[_Key, _LiveNode] = {}
        self._ended: dict[_Key, _LiveNode] = {}
        self._calling: Counter[int] = Counter()  # LLM calls under way, by the identity of their run
        self._requests = _Recent(_MOST_RESPONSES)
        self._unsubscribe = ledger.subscribe(self._heard)
        self._stop_asking = attribution.ask_also(self.caller)

    def on_start(self, span: LiveSpan, parent_context: Context | None = None) -> None:  # noqa: ARG002
        """A span begins: remember where it stands, and who is calling."""
        try:
            self._begin(span)
        except Exception:
            _failed("A span could not be followed")

    def on_end(self, span: ReadableSpan) -> None:
        """A span is over: an LLM call or a tool call becomes a row."""
        try:
            self._end(span)
        except Exception:
            _failed("A span could not be recorded")

    def shutdown(self) -> None:
        """Forget everything."""
        self._unsubscribe()
        self._stop_asking()
        with self._lock:
            self._open.clear()
            self._ended.clear()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002
        """Nothing is waiting: rows are written as spans end."""
        return True

    def caller(self) -> Attribution:
        """Whose calls are made here and now, as far as the current span and those around it tell."""
        node = self._current()
        return span_tree.who(node, Attribution(), Attribution()) if node else Attribution()

    def _current(self) -> _LiveNode | None:
        context = get_current_span().get_span_context()
        return self._open.get((context.trace_id, context.span_id))

    def _heard(self, table: str, fields: Mapping[str, Any]) -> None:
        """A row was recorded, maybe by another observer of the same call: what it calls the request, we do too."""
        response_id, request_id = fields.get("response_id"), fields.get("request_id")
        if table != "ledger" or not request_id:
            return
        if _tells(response_id):
            self._requests.add(response_id, request_id)
        elif (node := self._current()) and node.look().role == "llm":
            node.recorded_as = request_id  # embeddings, for one, have no response id

    def _node(self, span: ReadableSpan) -> _LiveNode:
        parent = span.parent and (span.parent.trace_id, span.parent.span_id)
        return _LiveNode(
            parent=(self._open.get(parent) or self._ended.get(parent)) if parent else None,
            start_ns=span.start_time or 0,
            source=span,
            here=attribution.current(),
            run=attribution.current_run(),
            last_request_id=attribution.last_request_id(),
        )

    def _begin(self, span: ReadableSpan) -> None:
        node = self._node(span)
        with self._lock:
            self._open[_key(span)] = node
            if len(self._open) > _MOST_OPEN:
                self._close(next(iter(self._open)))
            if node.run and node.look().role == "llm" and not any(one.look().role == "llm" for one in node.up()):
                node.counted = True
                self._calling[id(node.run)] += 1
                if self._calling[id(node.run)] > 1:
                    node.run.parallel = True  # so that nobody takes a neighbour's call for his own

    def _close(self, key: _Key) -> _LiveNode | None:
        node = self._open.pop(key, None)
        if node and node.counted:
            self._calling[id(node.run)] -= 1
            if not self._calling[id(node.run)]:
                del self._calling[id(node.run)]
        return node

    def _end(self, span: ReadableSpan) -> None:
        found = _converted(span)
        with self._lock:
            node = self._close(_key(span)) or self._node(span)
            self._ended[_key(span)] = node
            if len(self._ended) > _MOST_ENDED:
                del self._ended[next(iter(self._ended))]
        node.mark, node.source = span_tree.mark(found), None  # what it said of prompts is let go
        if node.mark.role == "llm":
            self._llm(node, found, span)
        elif node.mark.role == "tool":
            self._tool(node, found, span)

    def _llm(self, node: _LiveNode, found: Span, span: ReadableSpan) -> None:
        inferences = _understood(found)
        if not inferences:
            return
        span_tree.note_wrapped(node)
        response_id = inferences[0].response_id
        if node.wraps and response_id is None:
            return
        caller = self._who(node, span)
        request_id = self._requests.get(response_id) or spans.request_id(found.attributes)
        if response_id is None:
            request_id = node.recorded_as or request_id
        rows = [span_tree.call_fields(one, found.key, request_id, caller) for one in inferences]
        for row in rows:
            row["agent_id"] = row["agent_id"] or UNATTRIBUTED
            self._stamps.stamp_call(**row, ts=_ts(found))
        joined = rows[0]["request_id"]
        span_tree.note_answer(
            node, found.end_ns or 0, joined, span_tree.announced(found.attributes), most=_MOST_ANSWERS
        )
        here = attribution.current_run() is node.run  # does the agent's own code go on here?
        if here and attribution.last_request_id() != joined:
            attribution.note_request(joined, node.run)

    def _tool(self, node: _LiveNode, found: Span, span: ReadableSpan) -> None:
        span_tree.merge_tool(node)
        if node.merged:
            return
        caller = self._who(node, span)
        request_id = caller.request_id or span_tree.asked_by(node) or _in_context(node)
        self._stamps.stamp_tool_call(**span_tree.tool_fields(node, found, caller, request_id), ts=_ts(found))

    def _who(self, node: _LiveNode, span: ReadableSpan) -> Attribution:
        given, said = self._defaults, spans.stated(span.resource.attributes)
        defaults = Attribution(
            agent_id=said.get("agent_id") or given.agent_id,
            customer_id=said.get("customer_id") or given.customer_id,
            feature=said.get("feature") or given.feature,
            session_id=given.session_id,
        )
        return span_tree.who(node, node.here, defaults)


def _in_context(node: _LiveNode) -> str | None:
    """The LLM call before the tool call at `node`, where no span tells: the last of its context, by any observer. One
    that the context had already when the agent began is another agent's."""
    for around in node.up():
        if isinstance(around, _LiveNode) and around.look().role == "agent":
            return None if node.last_request_id == around.last_request_id else node.last_request_id
    return node.last_request_id


def _key(span: ReadableSpan) -> _Key:
    context = span.get_span_context()
    return (context.trace_id, context.span_id) if context else (0, 0)


def _converted(span: ReadableSpan) -> Span:
    trace_id, span_id = _key(span)
    return Span(
        trace_id=f"{trace_id:032x}",
        span_id=f"{span_id:016x}",
        name=span.name,
        attributes=dict(span.attributes or {}),  # a dict is several times faster to ask
        kind=span.kind.name.lower(),
        scope=span.instrumentation_scope.name if span.instrumentation_scope else "",
        status=span.status.status_code.name.lower(),
        start_ns=span.start_time,
        end_ns=span.end_time,
    )


def _understood(span: Span) -> list[Inference]:
    """What the LLM span used. One that nobody understands is a call with unknown tokens, which says so."""
    try:
        return spans.inferences(span, model="(unknown)")
    except (UnknownUsage, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        said = span.attributes
        return [
            Inference(
                model=text(said, "gen_ai.response.model", "gen_ai.request.model", "llm.model_name") or "(unknown)",
                prompt_tokens=None,
                completion_tokens=None,
                response_id=spans.response_id(said),
                evidence="partial",
                anomaly=f"not understood: {' '.join(str(error).split())[:300]}",
            )
        ]


def _ts(span: Span) -> str | None:
    try:
        return spans.moment(span.start_ns)
    except InvalidRecord:
        return None  # now


def _failed(sentence: str) -> None:
    _log.debug(sentence, exc_info=True)
    warn_once(f"{sentence}: switch on the debug log of agent_ledger to see why")


def _tells(response_id: object) -> bool:
    return isinstance(response_id, str) and len(response_id) >= _TELLING


class _Recent:
    """The last few keys and what belongs to them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: dict[Any, str] = {}
        self._lock = threading.Lock()

    def get(self, key: object) -> str | None:
        """What belongs to `key`. None: nothing that is remembered."""
        return self._values.get(key)

    def add(self, key: object, value: str) -> bool:
        """Remember the first value of a key. False: there was one."""
        with self._lock:
            if key in self._values:
                return False
            self._values[key] = value
            if len(self._values) > self._most:
                del self._values[next(iter(self._values))]
            return True


def emit_metrics(ledger: Told, meter_provider: MeterProvider | None = None) -> Callable[[], None]:
    """From now on, let every LLM call that `ledger` records appear in the histogram `gen_ai.client.token.usage`.

    Unit {token}, once for the input and once for the output, as far as they are known; a response that two observers
    record is measured once. Attributes: gen_ai.operation.name, gen_ai.provider.name ("_OTHER" where it is not
    recorded), gen_ai.response.model, gen_ai.token.type, gen_ai.agent.name. `meter_provider` None: the global one.
    Returns a function that ends it.
    """
    histogram = get_meter("agent_ledger", meter_provider=meter_provider).create_histogram(
        "gen_ai.client.token.usage",
        unit="{token}",
        description="Number of input and output tokens used.",
        explicit_bucket_boundaries_advisory=_BUCKETS,
    )
    measured = _Recent(_MOST_RESPONSES)

    def listen(table: str, fields: Mapping[str, Any]) -> None:
        response_id = fields.get("response_id")
        if table != "ledger":
            return
        if _tells(response_id) and not measured.add((response_id, fields.get("part") or 0), ""):
            return
        model, provider = str(fields.get("model")), fields.get("provider")
        attributes = {
            "gen_ai.operation.name": "embeddings" if "embed" in model else "chat",
            "gen_ai.provider.name": _OTEL_PROVIDERS.get(provider, provider) if provider else "_OTHER",
            "gen_ai.response.model": model,
            "gen_ai.agent.name": str(fields.get("agent_id")),
        }
        for kind, tokens in (("input", fields.get("prompt_tokens")), ("output", fields.get("completion_tokens"))):
            if tokens is not None:
                histogram.record(tokens, {**attributes, "gen_ai.token.type": kind})

    return ledger.subscribe(listen)
