"""One request of google-genai that may become rows: what its answer says, in one piece, streamed, or as a batch."""

from __future__ import annotations

import json
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Protocol

from agent_ledger import attribution
from agent_ledger.attribution import Attribution
from agent_ledger.capture.endpoints import Kind, endpoint
from agent_ledger.capture.exchange import Exchange, Stamps, never_raising
from agent_ledger.usage.counts import objects, section, text

_MOST_BATCHES = 10_000
_batch_makers: dict[str, Attribution] = {}  # by the name of a batch; of this process


class GoogleCall(Protocol):
    """Exactly one of these follows when a request is out. Neither raises."""

    def failed(self) -> None:
        """No answer, or one that is an error."""

    def answered(self, response: Any) -> None:
        """`response` is the SDK's own HttpResponse: a list of one text, or a stream that nobody has read yet."""


def call_of(
    method: str, path: str, stamps: Stamps, *, provider: str, defaults: Attribution | None
) -> GoogleCall | None:
    """What a request is for. None: it costs nothing, such as counting tokens, or it is none of those we can read."""
    if path.endswith(":batchGenerateContent"):
        return _BatchMade()
    found = endpoint(method.upper(), path)
    if found is None:
        return None
    if found.kind is Kind.CALL and found.model:
        return _Inference(Exchange(stamps, provider=provider, model=found.model, defaults=defaults))
    if found.kind is Kind.BATCH and method.upper() == "GET":
        return _BatchAsked(stamps, provider, defaults)
    return None


def method_of(holder: Any, name: str) -> Any:
    """The method `name` of `holder`, for a wrapper that `holder` shall keep: it does not keep `holder` alive, whose
    finalizer, which closes connections, would else come late."""
    own = vars(holder).get(name)
    if own is not None:  # somebody has wrapped it before
        return own
    reference = weakref.ref(holder)

    def method(*args: Any, **kwargs: Any) -> Any:
        alive = reference()
        return getattr(type(alive), name)(alive, *args, **kwargs)

    return method


class _Inference:
    """A call of a model, until its answer is complete."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._chunks: list[Mapping[str, Any]] = []
        self._named = False
        self._streaming = False

    @never_raising
    def failed(self) -> None:
        self._exchange.failed()

    @never_raising
    def answered(self, response: Any) -> None:
        found = response.response_stream
        if isinstance(found, list):
            self._whole(found[0] if found else "")
            return
        self._streaming = True
        sync, not_sync = method_of(response, "segments"), method_of(response, "async_segments")
        response.segments = lambda: _Segments(sync(), self)
        response.async_segments = lambda: _AsyncSegments(not_sync(), self)

    def _whole(self, body: str) -> None:
        try:
            decoded = json.loads(body)
        except ValueError:  # it was a call nevertheless
            self._exchange.events([], complete=False)
        else:
            if isinstance(decoded, Mapping):
                self._exchange.answered(text(decoded, "responseId"))  # Google sends no id of the request
            self._exchange.body(decoded)

    @never_raising
    def came(self, chunk: Mapping[str, Any]) -> None:
        """The caller gets this chunk of a stream now."""
        self._chunks.append(_without_content(chunk))
        if not self._named and text(chunk, "responseId"):
            self._named = True
            self._exchange.answered(text(chunk, "responseId"))

    @never_raising
    def ended(self, *, complete: bool) -> None:
        """The stream is over. `complete` False: the caller stopped reading, or the connection broke."""
        if self._streaming:
            self._streaming = False
            self._exchange.events(self._chunks, complete=complete)

    def __del__(self) -> None:
        self.ended(complete=False)  # nobody holds the stream any longer
        self.failed()  # where even that is not so, it is not under way either


def _without_content(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a chunk says of usage, in a copy: older SDKs change theirs. Text, images and sound may be long."""
    kept = dict(chunk)
    if "usageMetadata" in chunk:
        kept["usageMetadata"] = dict(chunk["usageMetadata"])
    if "candidates" in chunk:
        candidates = objects(chunk, "candidates")
        kept["candidates"] = [{name: one[name] for name in one if name != "content"} for one in candidates]
    return kept


class _Segments:
    """The chunks of a stream, on their way to the caller."""

    def __init__(self, chunks: Any, call: _Inference) -> None:
        self._chunks = chunks
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chunks, name)  # a generator can do more

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            chunk = next(self._chunks)
        except BaseException as end:
            self._call.ended(complete=isinstance(end, StopIteration))
            raise
        self._call.came(chunk)
        return chunk


class _AsyncSegments:
    """The same of an async stream."""

    def __init__(self, chunks: Any, call: _Inference) -> None:
        self._chunks = chunks
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chunks, name)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            chunk = await self._chunks.__anext__()
        except BaseException as end:
            self._call.ended(complete=isinstance(end, StopAsyncIteration))
            raise
        self._call.came(chunk)
        return chunk


class _BatchMade:
    """A batch is made. Its results belong to who made it, and not to who fetches them."""

    def __init__(self) -> None:
        self._who = attribution.caller()

    def failed(self) -> None:
        pass

    @never_raising
    def answered(self, response: Any) -> None:
        name = text(json.loads(response.response_stream[0]), "name")
        if name and self._who != Attribution():
            _batch_makers[name] = self._who
        while len(_batch_makers) > _MOST_BATCHES:
            _batch_makers.pop(next(iter(_batch_makers)), None)


class _BatchAsked:
    """A batch is asked how it is. When it is done, the answers to requests that were given inline are in it; those to
    requests from a file are in a file of Google's, which is not read here."""

    def __init__(self, stamps: Stamps, provider: str, defaults: Attribution | None) -> None:
        self._who = attribution.caller()
        self._begun: Callable[[Attribution, str | None], Exchange] = lambda who, model: Exchange(
            stamps, provider=provider, model=model, defaults=defaults, who=who
        )

    def failed(self) -> None:
        pass

    @never_raising
    def answered(self, response: Any) -> None:
        batch = json.loads(response.response_stream[0])
        lines = _results(batch)
        if lines:
            model = text(section(batch, "metadata"), "model") or ""
            who = _batch_makers.get(batch["name"], self._who)
            self._begun(who, model.removeprefix("models/") or None).results(lines)


def _results(batch: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The answers in a batch that is done, as lines of a batch's results. What has failed has none."""
    found = section(batch, "response") or section(section(batch, "metadata"), "output")
    lines: list[Mapping[str, Any]] = []
    for number, one in enumerate(objects(section(found, "inlinedResponses"), "inlinedResponses")):
        answer = section(one, "response")
        if answer:
            # Asked again, it must be the same call, also where it has no id.
            body = {"responseId": f"{batch['name']}/{number}", **answer}
            lines.append({"custom_id": str(number), "response": {"status_code": 200, "body": body}})
    return lines
