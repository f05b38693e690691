"""One API call that is under way: from the moment it goes out until its answer has become ledger rows.

The observers, one file per SDK, tell what they see; nothing they do or see here ever raises into the agent.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial, wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from agent_ledger import attribution, clock
from agent_ledger.attribution import Attribution
from agent_ledger.capture import ruling as rulings
from agent_ledger.capture.ruling import Ruling
from agent_ledger.errors import UnknownUsage
from agent_ledger.records import Inference
from agent_ledger.usage import inferences, inferences_from_events

_log = logging.getLogger("agent_ledger")

UNATTRIBUTED = "(unattributed)"
_PENDING = ("queued", "in_progress")
_INFERENCE = tuple(field.name for field in fields(Inference))
_OTHER_THAN_A_NUMBER = re.compile(r" is (?![-\d]).*(?=: an? (object|count|cost) is )")
_said: set[str] = set()
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


def never_raising(method: Callable[_Given, _Result]) -> Callable[_Given, _Result | None]:
    """`method`, whose bugs are not the agent's problem: they are logged, and None is returned."""

    @wraps(method)
    def quiet(*args: _Given.args, **kwargs: _Given.kwargs) -> _Result | None:
        try:
            return method(*args, **kwargs)
        except Exception:
            _log.warning("An LLM call could not be recorded", exc_info=True)
            return None

    return quiet


class Stamps(Protocol):
    """Where observers put what they saw: a `Ledger`. No method raises or waits for long."""

    def stamp_call(self, **fields: Any) -> None:
        """One LLM inference; the fields are those of `Call`."""

    def stamp_tool_call(self, **fields: Any) -> None:
        """One tool call; the fields are those of `ToolCall`."""

    def unfinished_call(self, response_id: str) -> dict[str, Any] | None:
        """Who made the call whose answer was not there yet when it was recorded: ts, agent_id, request_id, customer_id,
        session_id, feature. None: no such call."""

    def stamp_rerouted(self, *, agent_id: str, request_id: str, requested_model: str, directive_id: int | None) -> None:
        """A call that was stamped went to another model than the agent asked for."""

    def settle(self, reservation_id: str) -> None:
        """A call is over that something was reserved for."""


class Exchange:
    """One API call. Made when the request goes out, in the context of who made it.

    `provider`, `model` and `region` are what the request says (None: not known); the answer knows better where it says
    so. A `model` that is costly to find out is given as a function, called only where the answer leaves it open.
    `defaults` stand in for what the context does not say.
    """

    def __init__(
        self,
        stamps: Stamps,
        *,
        provider: str | None = None,
        model: str | Callable[[], str | None] | None = None,
        region: str | None = None,
        defaults: Attribution | None = None,
        who: Attribution | None = None,
        ts: str | None = None,
        ruling: Ruling | None = None,
    ) -> None:
        self._stamps = stamps
        self._ruling = ruling or rulings.current() or Ruling()
        self._provider = provider
        self._model = None if callable(model) else model
        self._ask_model = model if callable(model) else None
        self._region = region
        self._who = (who or attribution.caller()).filled(defaults or Attribution())
        self._run = attribution.current_run()
        self._ts = ts or clock.now()
        self._request_id: str | None = None
        self._provider_id: str | None = None  # of the request
        self._over = False
        if self._run:
            self._run.begin()

    def answered(self, request_id: str | None) -> None:
        """The headers of a good answer are there. Called where the agent's own code goes on, so that the tool calls
        that follow there are joined to this call. `request_id` is the provider's; None: it sent none."""
        self._provider_id = request_id
        self._request_id = self._who.request_id or request_id or self._request_id
        if self._request_id:
            attribution.note_request(self._request_id, self._run)

    def failed(self) -> None:
        """No answer, or an error: it costs nothing and is no call."""
        self._end()

    def body(self, body: Any) -> None:
        """The whole answer, decoded."""
        self._stamp(
            lambda: self._understood(
                lambda: inferences(body, self._provider, model=self._model) or self._in_background(body)
            )
        )

    def _in_background(self, body: Any) -> list[Inference]:
        """OpenAI's background mode: the tokens come with a later poll."""
        if not isinstance(body, Mapping) or body.get("object") != "response" or body.get("status") not in _PENDING:
            return []
        unknown = self._unknown(None, "partial")
        return [replace(unknown, response_id=body.get("id"), model=body.get("model") or unknown.model)]

    def results(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """The results of a batch, one decoded line each: every one of them is a call of its own, with the response's
        id, or else the line's, as its request. Fetched again, they are the same calls. No tool call that follows
        belongs to them."""
        try:
            for line in lines:
                for inference in self._understood(partial(inferences, line, self._provider, model=self._model)):
                    request_id = inference.response_id or _line_id(line) or clock.sortable_id()
                    self._stamps.stamp_call(**self._row(inference, request_id))
        except Exception:
            _log.warning("The results of a batch could not be recorded", exc_info=True)
        finally:
            self._end()

    def polled(self, body: Any) -> None:
        """An answer that was asked for again. It makes a row only where it brings what a call in the background had
        left open; the tool calls that follow belong to that call. `answered` is not called before."""
        self._stamp(lambda: self._finished(body))

    def _finished(self, body: Any) -> list[Inference]:
        try:
            found = inferences(body, self._provider, model=self._model)
        except UnknownUsage:
            return []  # it may be anything that is asked for again
        if not found or found[0].prompt_tokens is None or found[0].response_id is None:
            return []
        before = self._stamps.unfinished_call(found[0].response_id)
        if before is None:
            return []
        self._ts, self._request_id = before["ts"], before["request_id"]
        self._who = Attribution(before["agent_id"], before["customer_id"], before["feature"], before["session_id"])
        attribution.note_request(before["request_id"], self._run)
        return found

    def events(self, events: Sequence[Mapping[str, Any]], *, complete: bool = True) -> None:
        """All events of a streamed answer that came, decoded. `complete` False: the agent stopped reading."""
        self._stamp(lambda: self._understood(lambda: self._streamed(events, complete)))

    def _streamed(self, events: Sequence[Mapping[str, Any]], complete: bool) -> list[Inference]:
        if all(isinstance(event, Mapping) and event.get("type") == "ping" for event in events):
            return [] if complete else [self._unknown(None, "partial")]
        found = inferences_from_events(events, self._provider, model=self._model)
        if not found:
            found = self._in_background(
                next((event["response"] for event in reversed(events) if "response" in event), None)
            )
        if not complete:  # the counts may have been in what nobody read
            return [replace(one, evidence="partial") if one.prompt_tokens is None else one for one in found]
        if any(one.evidence == "stream" and one.prompt_tokens is None for one in found):
            warn_once(
                "A stream carried no token counts, so its call has no cost: ask for them with "
                'stream_options={"include_usage": True}'
            )
        return found

    def _asked_model(self) -> str | None:
        """The model that the request names, found out now."""
        ask, self._ask_model = self._ask_model, None
        if ask:
            try:
                self._model = ask()
            except Exception:  # the call is worth more than its model
                _log.debug("The model of a request could not be told", exc_info=True)
        return self._model

    def _unknown(self, anomaly: str | None, evidence: str) -> Inference:
        return Inference(
            model=self._asked_model() or "(unknown)",
            provider=self._provider,
            prompt_tokens=None,
            completion_tokens=None,
            evidence=evidence,
            anomaly=anomaly,
        )

    def _stamp(self, read: Callable[[], list[Inference]]) -> None:
        if self._over:
            return
        try:
            for inference in read():
                if not self._request_id:
                    self.answered(clock.sortable_id())
                self._stamps.stamp_call(**self._row(inference, self._request_id))
            if self._ruling.requested_model and self._request_id:
                self._stamps.stamp_rerouted(
                    agent_id=self._who.agent_id or UNATTRIBUTED,
                    request_id=self._request_id,
                    requested_model=self._ruling.requested_model,
                    directive_id=self._ruling.directive_id,
                )
        except Exception:
            _log.warning("An LLM call could not be recorded", exc_info=True)
        finally:
            self._end()

    def _understood(self, read: Callable[[], list[Inference]]) -> list[Inference]:
        """What `read` makes of the answer. One that nobody understands is a call with unknown tokens, which says so."""
        try:
            try:
                return read()
            except UnknownUsage:
                if not self._ask_model or not self._asked_model():
                    raise
                return read()  # it may be only the model that was missing
        except Exception as error:  # a bug of ours too: a call that was made is a row
            return [self._unknown(f"not understood: {_reason(error)}", "partial")]

    def _row(self, inference: Inference, request_id: str | None) -> dict[str, Any]:
        return {name: getattr(inference, name) for name in _INFERENCE} | {
            "ts": self._ts,
            "agent_id": self._who.agent_id or UNATTRIBUTED,
            "request_id": request_id,
            "customer_id": self._who.customer_id,
            "session_id": self._who.session_id,
            "feature": self._who.feature,
            "region": inference.region or self._region,
            "response_id": inference.response_id or self._other_id(),
        }

    def _other_id(self) -> str | None:
        """What tells this call from the others of the runtime's request, where the answer has no id (Bedrock,
        embeddings)."""
        if self._who.request_id is None:
            return None
        self._provider_id = self._provider_id or clock.sortable_id()
        return self._provider_id

    def _end(self) -> None:
        if self._over:
            return
        self._over = True
        if self._run:
            self._run.end()
        if self._ruling.reservation_id:
            self._stamps.settle(self._ruling.reservation_id)


def _reason(error: Exception) -> str:
    """What went wrong, without a word of what the answer says."""
    if not isinstance(error, UnknownUsage):
        return type(error).__name__
    return _OTHER_THAN_A_NUMBER.sub(" is something else", " ".join(str(error).split()))[:300]


def _line_id(line: object) -> str | None:
    """OpenAI's id of a line of a batch's results: not everything that a batch asks for has an id in its answer."""
    found = line.get("id") if isinstance(line, Mapping) else None
    return found if isinstance(found, str) and found.strip() else None


def warn_once(sentence: str) -> None:
    """Say it in the log, once in the life of this process."""
    if sentence not in _said:
        _said.add(sentence)
        _log.warning(sentence)
