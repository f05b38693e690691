"""Applies directives to google-genai, in front of its retries, where no HTTP package has a part in it yet."""

from __future__ import annotations

from functools import wraps
from typing import Any
from urllib.parse import unquote, urlsplit

from agent_ledger.capture.endpoints import Kind, endpoint
from agent_ledger.capture.enforce import Enforcement, path_with_model
from agent_ledger.capture.google import METHODS, api_client_of
from agent_ledger.capture.google_call import method_of
from agent_ledger.capture.ruling import Ruling, ruled


def enforce(client: Any, enforcement: Enforcement) -> bool:
    """Apply `enforcement` to what goes through `client`, a `google.genai.Client` or its `aio`. False: it is neither.
    The last enforcement of a client counts."""
    api_client = api_client_of(client)
    if api_client is None:
        return False
    gate = vars(api_client).get("agent_ledger_gate")
    if gate is not None:
        gate.enforcement = enforcement
        return True
    gate = api_client.agent_ledger_gate = _Gate(enforcement)
    for name, is_async in METHODS.items():
        setattr(api_client, name, gate.around(method_of(api_client, name), is_async=is_async))
    return True


class _Gate:
    """What every request of one API client passes."""

    def __init__(self, enforcement: Enforcement) -> None:
        self.enforcement = enforcement

    def around(self, send: Any, *, is_async: bool) -> Any:
        """`_request` or `_async_request`, which asks first."""
        ours: Any
        if is_async:

            @wraps(send)
            async def ours(*args: Any, **kwargs: Any) -> Any:
                with ruled(self._decided(*args, **kwargs)):
                    return await send(*args, **kwargs)
        else:

            @wraps(send)
            def ours(*args: Any, **kwargs: Any) -> Any:
                with ruled(self._decided(*args, **kwargs)):
                    return send(*args, **kwargs)

        return ours

    def _decided(self, *args: Any, **kwargs: Any) -> Ruling | None:
        """Changes the request, which the SDK made for this one call. Raises BudgetExceeded."""
        request = kwargs.get("http_request") or next(one for one in args if hasattr(one, "url"))
        url = urlsplit(request.url)
        path, method = unquote(url.path), request.method.upper()
        found = endpoint(method, path)
        if path.endswith(":batchGenerateContent"):
            self.enforcement.decided(None, is_batch=True)
            return None
        if found is None or found.kind is not Kind.CALL or not found.model:
            return None
        model, ruling = self.enforcement.decided(found.model)
        if model and model != found.model:
            request.url = url._replace(path=path_with_model(url.path, found.model, model)).geturl()
        return ruling
