"""One HTTP attempt that may become rows: from the request to what its answer says."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from agent_ledger import attribution
from agent_ledger.attribution import Attribution
from agent_ledger.capture.answers import decoded, json_lines, unpacked
from agent_ledger.capture.endpoints import Endpoint, Kind
from agent_ledger.capture.exchange import Exchange, Stamps, never_raising
from agent_ledger.capture.tee import tee

_log = logging.getLogger("agent_ledger")

_REQUEST_IDS = (  # of Anthropic, OpenAI and most others, AWS, Azure, Mistral; the first that is there counts
    b"request-id",
    b"x-request-id",
    b"x-amzn-requestid",
    b"apim-request-id",
    b"x-ms-request-id",
    b"mistral-correlation-id",
)
_MOST_BATCHES = 10_000
_batch_makers: dict[str, Attribution] = {}  # by the id of a batch, or of the file with its results; of this process


def _requested_model(request: Any) -> str | None:
    try:
        model = json.loads(request.content).get("model")
    except (RuntimeError, ValueError, AttributeError):  # the body was a stream, or no object
        return None
    return model if isinstance(model, str) and model else None


class HttpCall:
    """One attempt. Made when the request goes out; then exactly one of `failed` and `answered` follows.

    `provider` and `region` are what is known beforehand, None: nothing. `defaults` stand in for what the context does
    not say.
    """

    def __init__(
        self,
        stamps: Stamps,
        request: Any,
        endpoint: Endpoint,
        *,
        provider: str | None,
        region: str | None,
        defaults: Attribution | None,
    ) -> None:
        self._request = request
        self._endpoint = endpoint
        self._who = attribution.caller()
        self._begun = partial(
            Exchange,
            stamps,
            provider=provider,
            model=endpoint.model or partial(_requested_model, request),
            region=region,
            defaults=defaults,
        )
        self._exchange = self._begun() if endpoint.kind is Kind.CALL else None

    @never_raising
    def failed(self) -> None:
        """No answer, or one that is an error."""
        if self._exchange:
            self._exchange.failed()

    @never_raising
    def answered(self, response: Any) -> None:
        """The headers are there, and the body too unless the caller asked for a stream."""
        if response.status_code >= 300:
            self.failed()
            return
        self._kind, self._headers = type(response), response.headers
        headers = {name.lower(): value for name, value in response.headers.raw}
        self._content_type = headers.get(b"content-type", b"").decode("latin-1").lower()
        if self._exchange:
            found = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)
            self._exchange.answered(found.decode("latin-1") if found else None)
        try:
            if response.is_closed:
                self._deliver(lambda: response.content, complete=True)
            elif self._endpoint.kind is not Kind.BATCH:
                response.stream = tee(response.stream, self)
        except Exception:
            self.failed()  # so that nobody takes it for being under way
            raise

    def wants(self, beginning: bytes) -> bool:
        """A file of gigabytes that holds no results of a batch is not worth keeping."""
        return self._endpoint.kind is not Kind.FILE or beginning[:1] == b"{"

    @never_raising
    def ended(self, parts: list[bytes], *, complete: bool) -> None:
        """The body is over, which came as a stream."""
        self._deliver(lambda: unpacked(self._kind, self._headers, parts), complete=complete)

    def _deliver(self, read: Callable[[], bytes], *, complete: bool) -> None:
        if self._exchange:
            self._deliver_call(self._exchange, read, complete=complete)
            return
        data, kind = read(), self._endpoint.kind
        if kind is Kind.POLL:
            self._deliver_poll(data)
        elif kind is Kind.BATCH:
            _remember(json.loads(data), self._who if self._request.method == "POST" else None)
        elif kind is Kind.RESULTS or _holds_results(data):
            maker = _batch_makers.get(self._endpoint.subject or "")
            self._begun(who=maker or self._who).results(json_lines(data))

    def _deliver_call(self, exchange: Exchange, read: Callable[[], bytes], *, complete: bool) -> None:
        try:
            data = read()
            body, events = decoded(data, self._content_type)
        except Exception:  # cut off, or in no known language: it was a call nevertheless
            _log.debug("The answer to an LLM call could not be decoded", exc_info=True)
            exchange.events([], complete=False)
            return
        if events is None:
            exchange.body(body)
        else:
            # After [DONE] nothing follows, so that an SDK reads no further.
            exchange.events(events, complete=complete or data.rstrip().endswith(b"data: [DONE]"))

    def _deliver_poll(self, data: bytes) -> None:
        body, events = decoded(data, self._content_type)
        if events is not None:
            body = next((event["response"] for event in reversed(events) if "response" in event), None)
        if isinstance(body, Mapping) and body.get("object") == "response" and body.get("usage"):
            self._begun(who=self._who).polled(body)


def _remember(batch: Mapping[str, Any], maker: Attribution | None) -> None:
    """Who made a batch: its results belong to them, and not to who fetches them."""
    maker = maker or _batch_makers.get(batch.get("id", ""))
    for name in ("id", "output_file_id", "output_file"):  # the last as Mistral names it
        if maker and maker != Attribution() and isinstance(batch.get(name), str):
            _batch_makers[batch[name]] = maker
    while len(_batch_makers) > _MOST_BATCHES:
        _batch_makers.pop(next(iter(_batch_makers)), None)


def _holds_results(data: bytes) -> bool:
    try:
        first = json.loads(data[: data.find(b"\n") + 1] or data)
    except ValueError:
        return False
    return isinstance(first, dict) and "custom_id" in first and "response" in first
