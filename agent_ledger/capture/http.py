"""Observes the HTTP clients that LLM SDKs send through: httpx and httpx2, sync and async.

An SDK's client keeps its HTTP client at one place, and every attempt of every call, streamed or not, passes its `send`:
inside the retry loop, behind `with_options()`, `with_raw_response` and the stream helpers. So that is what is wrapped.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from agent_ledger.attribution import Attribution
from agent_ledger.capture.endpoints import Endpoint, Kind, Origin, endpoint, origin
from agent_ledger.capture.exchange import Stamps, never_raising
from agent_ledger.capture.http_call import HttpCall
from agent_ledger.capture.nesting import is_watched
from agent_ledger.capture.tee import PACKAGES


def attach(client: Any, stamps: Stamps, *, provider: str | None = None, defaults: Attribution | None = None) -> bool:
    """Record in `stamps` what goes through `client`: an SDK's client that sends with httpx or httpx2, or such a client
    itself. False: it is neither. Attaching again changes nothing.

    `provider` is named where it is given; otherwise the address tells, or the answer. `defaults` stand in for what the
    context does not say of who is calling.
    """
    found = clients_of(client)
    for http_client in found:
        if not _is_observed(http_client.send, stamps):
            observer = _Observer(stamps, provider, defaults, certain=http_client is not client)
            http_client.send = _wrapped(http_client.send, observer, is_async=_is_a(http_client, "AsyncClient"))
    if found:
        origin("")  # what is slow the first time is done here, not in a call
    return bool(found)


def attach_everywhere(stamps: Stamps) -> Callable[[], None]:
    """Record in `stamps` what goes through any client of httpx and httpx2 in this process; returns what undoes it."""
    origin("")
    undo = [
        _patched(getattr(module, name), _Observer(stamps, None, None, certain=False))
        for module in _installed()
        for name in ("Client", "AsyncClient")
    ]

    def undo_all() -> None:
        for one in undo:
            one()

    return undo_all


def _installed() -> Iterator[Any]:
    for name in PACKAGES:
        try:
            yield importlib.import_module(name)
        except ImportError:
            continue


def _patched(kind: type[Any], observer: _Observer) -> Callable[[], None]:
    before = kind.send
    ours = _wrapped(before, observer, is_async=kind.__name__ == "AsyncClient")
    kind.send = ours

    def undo() -> None:
        observer.stopped = True  # somebody may have wrapped ours meanwhile, and goes on calling it
        if kind.send is ours:
            kind.send = before

    return undo


def clients_of(client: Any) -> list[Any]:
    """The HTTP clients that an SDK's client sends through: of anthropic, openai, groq and their like, of mistralai."""
    if _is_a(client, "Client", "AsyncClient"):
        return [client]
    mistral = _attribute(client, "sdk_configuration")
    held = (_attribute(client, "_client"), _attribute(mistral, "client"), _attribute(mistral, "async_client"))
    return [one for one in held if _is_a(one, "Client", "AsyncClient")]


def _attribute(holder: Any, name: str) -> Any:
    try:
        return getattr(holder, name, None)
    except Exception:  # a property of somebody else's
        return None


def _is_a(thing: Any, *names: str) -> bool:
    return any(one.__name__ in names and one.__module__.partition(".")[0] in PACKAGES for one in type(thing).__mro__)


def _is_observed(send: Any, stamps: Stamps) -> bool:
    while send is not None:
        observer = getattr(send, "agent_ledger_observer", None)
        if observer and observer.stamps is stamps and not observer.stopped:
            return not inspect.ismethod(send)  # what is patched on the class knows neither provider nor defaults
        send = getattr(send, "__wrapped__", None)
    return False


def _wrapped(send: Any, observer: _Observer, *, is_async: bool) -> Any:
    """`send` of a client or of its class, observed."""
    ours: Any
    if is_async:

        @wraps(send)
        async def ours(*args: Any, **kwargs: Any) -> Any:
            call = observer.outgoing(*args, **kwargs)
            if call is None:
                return await send(*args, **kwargs)
            try:
                response = await send(*args, **kwargs)
            except BaseException:
                call.failed()
                raise
            finally:
                observer.gone(*args, **kwargs)
            call.answered(response)
            return response
    else:

        @wraps(send)
        def ours(*args: Any, **kwargs: Any) -> Any:
            call = observer.outgoing(*args, **kwargs)
            if call is None:
                return send(*args, **kwargs)
            try:
                response = send(*args, **kwargs)
            except BaseException:
                call.failed()
                raise
            finally:
                observer.gone(*args, **kwargs)
            call.answered(response)
            return response

    ours.agent_ledger_observer = observer
    return ours


class _Observer:
    """Tells which requests are calls, for one ledger. `certain`: the client is an SDK's and talks to LLMs only."""

    def __init__(self, stamps: Stamps, provider: str | None, defaults: Attribution | None, *, certain: bool) -> None:
        self.stamps = stamps
        self.provider = provider
        self.defaults = defaults
        self.stopped = False
        self._certain = certain
        self._mark = f"agent_ledger.{id(self.stamps)}"

    @never_raising
    def outgoing(self, *args: Any, **kwargs: Any) -> HttpCall | None:
        """The call that a request makes; None: it makes none, or the same ledger observes it already, further out."""
        request = _request(*args, **kwargs)
        url = request.url
        found = endpoint(request.method, url.path)
        if found is None or self.stopped or self._mark in request.extensions or is_watched(self.stamps):
            return None
        if not is_llm_call(request, found, certain=self._certain):
            return None
        where = _origin(url)
        call = HttpCall(
            self.stamps,
            request,
            found,
            provider=self.provider or where.provider,
            region=where.region,
            defaults=self.defaults,
        )
        request.extensions[self._mark] = True
        return call

    @never_raising
    def gone(self, *args: Any, **kwargs: Any) -> None:
        """The request is out of the client. The next attempt may be the same object."""
        _request(*args, **kwargs).extensions.pop(self._mark, None)


def _request(*args: Any, **kwargs: Any) -> Any:
    """The request among the arguments of `send`, whether it is called on a client or on its class."""
    return kwargs["request"] if "request" in kwargs else args[-1]


def is_llm_call(request: Any, found: Endpoint, *, certain: bool) -> bool:
    """Does a request with the path of an LLM call go to an LLM? `certain`: its client talks to nobody else."""
    return bool(certain or found.model or _origin(request.url).provider or _names_a_model(found, request))


def _origin(url: Any) -> Origin:
    return origin(f"{url.scheme}://{url.host}{url.path}")


def _names_a_model(found: Endpoint, request: Any) -> bool:
    """Is it plausible that a request to an unknown host asks an LLM? Others too have a path that ends in /responses."""
    if found.kind is not Kind.CALL:
        return True
    try:
        return b'"model"' in request.content
    except RuntimeError:  # it is a stream
        return False
