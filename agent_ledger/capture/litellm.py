"""LiteLLM's callbacks: every call that LiteLLM makes, in the SDK, the Router or the proxy, becomes a ledger row.

    litellm.callbacks = [LedgerLogger(ledger)]

Source: litellm 1.106, `litellm_core_utils/litellm_logging.py`. LiteLLM tells of success in a thread or a worker of its
own, after the answer was returned, so who called is noted when the request goes out.

- A stream that the agent leaves early is never reported by LiteLLM, so it makes no row; one that breaks has the counts
  so far.
- A tool call joins to the LLM call before it as soon as LiteLLM has told of that. Where tools run at once, say
  `attribute(request_id=…)` around both: then nobody has to wait.
- Under such a request id of the runtime's, the row has LiteLLM's id of the response: only that tells its calls apart.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from agent_ledger import attribution
from agent_ledger.attribution import Attribution, Run
from agent_ledger.capture.endpoints import origin
from agent_ledger.capture.exchange import UNATTRIBUTED, Stamps, warn_once
from agent_ledger.errors import UnknownUsage
from agent_ledger.hookspecs import Defaults
from agent_ledger.importers.litellm import facts, own_id, provider_request_id
from agent_ledger.importers.litellm_usage import section
from agent_ledger.records import Call, ToolCall

try:
    from litellm.integrations.custom_logger import CustomLogger  # type: ignore[import-not-found]
except ImportError as error:
    raise ImportError("agent_ledger.capture.litellm needs LiteLLM: pip install litellm") from error

_log = logging.getLogger("agent_ledger")

_MOST = 10_000  # calls under way, and calls that were told of: what is forgotten then was never answered
_TOLD = ("agent_id", "customer_id", "feature", "session_id")


@dataclass(slots=True)
class _Begun:
    """A call under way, and who made it."""

    who: Attribution
    run: Run | None
    over: bool = False

    def end(self) -> None:
        if self.run and not self.over:
            self.run.end()
        self.over = True


class LedgerLogger(CustomLogger):  # type: ignore[misc]  # of no known type where LiteLLM is not installed
    """Records what LiteLLM reports. Put it into `litellm.callbacks`; one for each ledger.

    Who called is what the call's `metadata` says (`agent_id`, `customer_id`, `feature`, `session_id`), else the
    surrounding `attribute`, else `agent_id`. `ledger` is a `Ledger`. No method raises.
    """

    def __init__(self, ledger: Stamps, agent_id: str | None = None) -> None:
        super().__init__()
        # Prices are looked up where LiteLLM calls back, and importing what knows them there could meet an import of
        # the agent's halfway: the openai SDK looks into httpx2 as soon as it finds it begun.
        origin("")
        self._stamps = ledger
        self._agent_id = agent_id
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._recorded: OrderedDict[tuple[object, ...], None] = OrderedDict()
        self._lock = threading.RLock()  # the garbage that is collected inside may end a stream, which calls back
        self.ledger_key = str(id(ledger))  # LiteLLM takes loggers with the same public attributes for one

    # -- in the caller's thread or task -------------------------------------------------------------------------------

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: dict[str, Any]) -> None:  # noqa: ARG002
        """The request goes out."""
        try:
            self._begin(kwargs)
        except Exception:
            _log.warning("An LLM call of LiteLLM could not be attributed", exc_info=True)

    def log_post_api_call(self, kwargs: dict[str, Any], *_: Any, **__: Any) -> None:
        """The answer is there; of a stream its beginning. Some providers' headers are known by now."""
        try:
            with self._lock:
                begun = self._begun.get(str(kwargs.get("litellm_call_id")))
            if begun is None:
                return
            headers = kwargs.get("response_headers")
            known = {f"llm_provider-{name}": value for name, value in dict(headers or {}).items()}
            self._note(provider_request_id({"hidden_params": {"additional_headers": known}}), begun)
            if not kwargs.get("stream"):
                begun.end()
        except Exception:
            _log.warning("The request id of a call of LiteLLM could not be read", exc_info=True)

    async def async_post_call_success_deployment_hook(self, request_data: Any, response: Any, *_: Any) -> None:
        """The answer to an awaited call, just before the caller gets it. It stays as it is."""
        try:
            with self._lock:
                begun = self._begun.get(str(request_data.get("litellm_call_id")))
            if begun is not None:
                self._note(provider_request_id({"hidden_params": getattr(response, "_hidden_params", None)}), begun)
        except Exception:
            _log.warning("The request id of a call of LiteLLM could not be read", exc_info=True)

    # -- wherever LiteLLM runs its callbacks --------------------------------------------------------------------------

    def log_success_event(self, kwargs: dict[str, Any], *_: Any, **__: Any) -> None:
        """A call that was not awaited has succeeded, or a stream of one is complete."""
        self._tell(kwargs)

    async def async_log_success_event(self, kwargs: dict[str, Any], *_: Any, **__: Any) -> None:
        """A call that was awaited has succeeded, or its stream is complete."""
        self._tell(kwargs)

    def log_failure_event(self, kwargs: dict[str, Any], *_: Any, **__: Any) -> None:
        """A call has failed. It makes a row only if it is a stream that broke and has counts, or a tool call."""
        self._tell(kwargs)

    async def async_log_failure_event(self, kwargs: dict[str, Any], *_: Any, **__: Any) -> None:
        """A call that was awaited has failed."""
        self._tell(kwargs)

    # -----------------------------------------------------------------------------------------------------------------

    def _begin(self, kwargs: Mapping[str, Any]) -> None:
        call_id = kwargs.get("litellm_call_id")
        if not isinstance(call_id, str):
            return
        begun = _Begun(attribution.caller(), attribution.current_run())
        forgotten = None
        with self._lock:
            if call_id in self._begun:  # LiteLLM tries again
                return
            self._begun[call_id] = begun
            if len(self._begun) > _MOST:
                forgotten = self._begun.popitem(last=False)[1]
        if forgotten:
            forgotten.end()
        if begun.run:
            begun.run.begin()
        self._note(begun.who.request_id, begun)

    @staticmethod
    def _note(request_id: str | None, begun: _Begun) -> None:
        request_id = begun.who.request_id or request_id
        if request_id:
            attribution.note_request(request_id, begun.run)

    def _tell(self, kwargs: Mapping[str, Any]) -> None:
        try:
            with self._lock:
                begun = self._begun.pop(str(kwargs.get("litellm_call_id")), None)
            begun = begun or _Begun(attribution.caller(), None)  # LiteLLM calls success_callback without telling before
            payload = kwargs.get("standard_logging_object")
            try:
                if isinstance(payload, Mapping) and not self._is_known(payload):
                    self._record(_as_told(payload, kwargs), begun)
            finally:
                begun.end()
        except UnknownUsage as error:
            kind = kwargs.get("call_type")
            warn_once(f"LiteLLM's calls of {kind} that are not billed by tokens are not recorded")
            _log.debug("%s", error)
        except Exception:
            _log.warning("A call of LiteLLM could not be recorded", exc_info=True)

    def _is_known(self, payload: Mapping[str, Any]) -> bool:
        """Was this told before? Some paths of LiteLLM call both the sync and the async event."""
        key = tuple(payload.get(name) for name in ("litellm_call_id", "id", "startTime", "total_tokens"))
        with self._lock:
            if key in self._recorded:
                return True
            self._recorded[key] = None
            if len(self._recorded) > _MOST:
                self._recorded.popitem(last=False)
        return False

    def _record(self, record: Mapping[str, Any], begun: _Begun) -> None:
        who = begun.who
        defaults = Defaults(
            agent_id=who.agent_id or self._agent_id or UNATTRIBUTED,
            customer_id=who.customer_id,
            feature=who.feature,
            session_id=who.session_id,
        )
        for fact in facts(record, defaults):
            if isinstance(fact, ToolCall):
                known = None if fact.agent_id == UNATTRIBUTED else fact.agent_id
                self._stamps.stamp_tool_call(**_row(replace(fact, agent_id=known, request_id=who.request_id)))
                continue
            if who.request_id:
                fact = replace(fact, request_id=who.request_id, response_id=fact.response_id or own_id(record))
            self._stamps.stamp_call(**_row(fact))
            if fact.request_id and not who.request_id:
                self._note(fact.request_id, begun)


def _row(fact: Call | ToolCall) -> dict[str, Any]:
    return {field.name: getattr(fact, field.name) for field in fields(fact)}


def _as_told(payload: Mapping[str, Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The payload, and what the caller told LiteLLM beside: payloads keep little of a call's metadata."""
    params = section(kwargs, "litellm_params")
    told = {**section(params, "litellm_metadata"), **section(params, "metadata")}
    metadata = section(payload, "metadata")
    said = {**section(metadata, "requester_metadata"), **{name: told[name] for name in _TOLD if told.get(name)}}
    if params.get("litellm_session_id"):
        said.setdefault("session_id", params["litellm_session_id"])
    return {
        **payload,
        "metadata": {**metadata, "requester_metadata": said},
        "agent_id": kwargs.get("agent_id"),
        "billing_agent_id": told.get("billing_agent_id"),
        "trace_id": None,  # LiteLLM makes one up for each call
    }
