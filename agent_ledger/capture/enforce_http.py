"""Applies directives to what goes through an HTTP client: of anthropic, openai, what speaks like them, or a bare one.

`build_request` is what is wrapped. Every attempt of the SDKs passes it, copies made by `with_options` too; it is
outside of the block whose errors they retry and rename, and before the request is signed. A request that was built
elsewhere is looked at when it is sent.
"""

from __future__ import annotations

import inspect
import json
from functools import wraps
from typing import Any

from agent_ledger.capture.endpoints import Endpoint, Kind, endpoint
from agent_ledger.capture.enforce import Enforcement, path_with_model
from agent_ledger.capture.exchange import warn_once
from agent_ledger.capture.http import clients_of, is_llm_call
from agent_ledger.capture.ruling import Ruling, ruled

_DECIDED = "agent_ledger.decided"


def enforce(client: Any, enforcement: Enforcement) -> bool:
    """Apply `enforcement` to what goes through `client`. False: it sends by no HTTP client that is known. The last
    enforcement of a client counts."""
    found = clients_of(client)
    for http_client in found:
        before = getattr(http_client, "agent_ledger_gate", None)
        if before is not None:
            before.enforcement = enforcement
            continue
        gate = _Gate(enforcement, certain=http_client is not client)
        http_client.build_request = gate.building(http_client.build_request)
        http_client.send = gate.sending(http_client.send)
        http_client.agent_ledger_gate = gate
    return bool(found)


class _Gate:
    """What every request of one HTTP client passes. `certain`: the client is an SDK's and talks to LLMs only."""

    def __init__(self, enforcement: Enforcement, *, certain: bool) -> None:
        self.enforcement = enforcement
        self._certain = certain

    def building(self, build: Any) -> Any:
        """`build_request`, whose requests are what may be sent."""

        @wraps(build)
        def ours(*args: Any, **kwargs: Any) -> Any:
            return self._decided(build(*args, **kwargs))

        return ours

    def sending(self, send: Any) -> Any:
        """`send`, for requests that were built elsewhere; the observer further in learns what was changed."""
        ours: Any
        if inspect.iscoroutinefunction(send):

            @wraps(send)
            async def ours(request: Any, *args: Any, **kwargs: Any) -> Any:
                request, ruling = self._taken(request)
                with ruled(ruling):
                    return await send(request, *args, **kwargs)
        else:

            @wraps(send)
            def ours(request: Any, *args: Any, **kwargs: Any) -> Any:
                request, ruling = self._taken(request)
                with ruled(ruling):
                    return send(request, *args, **kwargs)

        return ours

    def _taken(self, request: Any) -> tuple[Any, Ruling | None]:
        """The request that goes out. Its mark is taken off, so that sending it again is another decision."""
        if _DECIDED not in request.extensions:
            request = self._decided(request)
        return request, request.extensions.pop(_DECIDED, None)

    def _decided(self, request: Any) -> Any:
        found = endpoint(request.method, request.url.path)
        if found is None or not _spends(found, request) or not is_llm_call(request, found, certain=self._certain):
            return request
        asked = found.model or _model_in(request)
        model, ruling = self.enforcement.decided(asked, is_batch=found.kind is Kind.BATCH)
        if asked is None and found.kind is Kind.CALL:
            warn_once("A request whose body can't be read can't be sent to a smaller model; blocks hold for it")
        elif model and model != asked:
            request = _with_model(request, found, model)
        request.extensions[_DECIDED] = ruling
        return request


def _spends(found: Endpoint, request: Any) -> bool:
    """Does the request make a call or a batch? What is asked for again was paid before."""
    return found.kind is Kind.CALL or (found.kind is Kind.BATCH and request.method == "POST")


def _body(request: Any) -> dict[str, Any] | None:
    try:
        body = json.loads(request.content)
    except (RuntimeError, ValueError):  # it is a stream, or packed
        return None
    return body if isinstance(body, dict) else None


def _model_in(request: Any) -> str | None:
    model = (_body(request) or {}).get("model")
    return model if isinstance(model, str) and model else None


def _with_model(request: Any, found: Endpoint, model: str) -> Any:
    """A request that asks `model` for the same."""
    url, headers = request.url, request.headers.copy()
    if found.model:
        path, mark, query = url.raw_path.decode("ascii").partition("?")
        url = url.copy_with(raw_path=f"{path_with_model(path, found.model, model)}{mark}{query}".encode("ascii"))
        content = request.content
    else:
        headers.pop("content-length", None)
        content = json.dumps(
            {**(_body(request) or {}), "model": model}, ensure_ascii=False, separators=(",", ":")
        ).encode()
    return type(request)(request.method, url, headers=headers, content=content, extensions=request.extensions)
