"""Observes google-genai: the Gemini API and Vertex AI, whatever HTTP package the SDK sends through.

`_request` and `_async_request` of the SDK's own API client (versions 1.12 to 3.4) hold the retries, and every request
passes them, whether httpx, httpx2, aiohttp or google-auth sends it. So those are what is wrapped. The Live API (a
websocket) and `client.interactions` (with an HTTP client of its own) pass elsewhere, and are not observed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

from agent_ledger.attribution import Attribution
from agent_ledger.capture.exchange import Stamps, never_raising, warn_once
from agent_ledger.capture.google_call import GoogleCall, call_of, method_of
from agent_ledger.capture.nesting import is_watched, watched
from agent_ledger.capture.on_import import when_imported

METHODS = {"_request": False, "_async_request": True}  # is it async?


def attach(client: Any, stamps: Stamps, *, provider: str | None = None, defaults: Attribution | None = None) -> bool:
    """Record in `stamps` what goes through `client`: a `google.genai.Client` or its `aio`, which share one inside.
    False: it is neither, or of a version whose inside is unknown (then the log says so). Attaching again changes
    nothing.

    `provider` stands in the rows instead of "google". `defaults` stand in for what the context does not say of who is
    calling.
    """
    api_client = api_client_of(client)
    if api_client is None:
        return False
    observer = _Observer(stamps, provider, defaults)
    for name, is_async in METHODS.items():
        send = method_of(api_client, name)
        if not _is_observed(send, stamps):
            setattr(api_client, name, _wrapped(send, observer, is_async=is_async))
    return True


def api_client_of(client: Any) -> Any:
    """What a `google.genai.Client` or its `aio` sends through; None: it is neither, or of an unknown version."""
    if not any(one.__module__ == "google.genai.client" for one in type(client).__mro__):
        return None
    api_client = getattr(client, "_api_client", None)
    return api_client if _is_known(type(api_client)) else None


def attach_everywhere(stamps: Stamps) -> Callable[[], None]:
    """Record in `stamps` what goes through any client of google-genai in this process, also if it is imported only
    later; returns what undoes it."""
    return when_imported("google.genai._api_client", lambda module: _patched(module, stamps))


def _patched(module: ModuleType, stamps: Stamps) -> Callable[[], None]:
    kind = getattr(module, "BaseApiClient", object)
    observer = _Observer(stamps, None, None)
    before = {name: getattr(kind, name) for name in METHODS} if _is_known(kind) else {}
    ours = {name: _wrapped(send, observer, is_async=METHODS[name]) for name, send in before.items()}
    for name, method in ours.items():
        setattr(kind, name, method)

    def undo() -> None:
        observer.stopped = True  # somebody may have wrapped ours meanwhile, and goes on calling it
        for name, method in ours.items():
            if getattr(kind, name) is method:
                setattr(kind, name, before[name])

    return undo


def _is_known(kind: type[Any]) -> bool:
    """Has this class of the SDK's API client the methods that this file wraps, and do its streams?"""
    base = next((one for one in kind.__mro__ if one.__name__ == "BaseApiClient"), object)
    response = getattr(sys.modules.get(base.__module__), "HttpResponse", object)
    known = all(hasattr(base, name) for name in METHODS)
    known = known and hasattr(response, "segments") and hasattr(response, "async_segments")
    if not known:
        warn_once("This version of google-genai can't be observed, its calls go unrecorded: take one from 1.12 to 3.4")
    return known


def _is_observed(send: Any, stamps: Stamps) -> bool:
    while send is not None:
        observer = getattr(send, "agent_ledger_observer", None)
        if observer and observer.stamps is stamps:
            return True
        send = getattr(send, "__wrapped__", None)
    return False


def _wrapped(send: Any, observer: _Observer, *, is_async: bool) -> Any:
    """`_request` or `_async_request` of an API client or of its class, observed."""
    ours: Any
    if is_async:

        @wraps(send)
        async def ours(*args: Any, **kwargs: Any) -> Any:
            call = observer.outgoing(*args, **kwargs)
            if call is None:
                return await send(*args, **kwargs)
            try:
                with watched(observer.stamps):
                    response = await send(*args, **kwargs)
            except BaseException:
                call.failed()
                raise
            call.answered(response)
            return response
    else:

        @wraps(send)
        def ours(*args: Any, **kwargs: Any) -> Any:
            call = observer.outgoing(*args, **kwargs)
            if call is None:
                return send(*args, **kwargs)
            try:
                with watched(observer.stamps):
                    response = send(*args, **kwargs)
            except BaseException:
                call.failed()
                raise
            call.answered(response)
            return response

    ours.agent_ledger_observer = observer
    return ours


class _Observer:
    """Tells which requests are calls, for one ledger."""

    def __init__(self, stamps: Stamps, provider: str | None, defaults: Attribution | None) -> None:
        self.stamps = stamps
        self.stopped = False
        self._provider = provider or "google"
        self._defaults = defaults

    @never_raising
    def outgoing(self, *args: Any, **kwargs: Any) -> GoogleCall | None:
        """The call that a request makes; None: it makes none, or the same ledger observes it already, further out."""
        if self.stopped or is_watched(self.stamps):
            return None
        request = kwargs.get("http_request") or next(one for one in args if hasattr(one, "url"))
        path = unquote(urlsplit(request.url).path)
        return call_of(request.method, path, self.stamps, provider=self._provider, defaults=self._defaults)
