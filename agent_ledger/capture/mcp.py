"""The Model Context Protocol: an audit row for every tools/call, seen by the server, by the client, or by both.

The middleware is for servers of the official SDK; `stamp` is for its clients and for those of FastMCP.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, TypeVar

from agent_ledger import clock
from agent_ledger.capture.exchange import Stamps
from agent_ledger.capture.mcp_call import TOOL_CALL_ID, ResourceId, begin, ended, error_type, meta
from agent_ledger.errors import LedgerError

__all__ = ["AuditMiddleware", "meta", "stamp"]

_Client = TypeVar("_Client")


class AuditMiddleware:
    """Records every tools/call that a server of the official SDK answers, those that fail included.

        MCPServer("files", middleware=[AuditMiddleware(ledger, server="files")])

    The request and the agent come from `_meta` (see `stamp`), or else from the surrounding `attribute`. `server` None:
    the name that the server puts into its results, where the protocol's version has it there.
    `resource_id(tool, arguments)` says what the call touches, as the cloud bill names it; a tool can also say it, and
    what it used, with `agent_ledger.capture.tool.report`. Arguments there are those of the request, unchecked.
    """

    def __init__(self, stamps: Stamps, *, server: str | None = None, resource_id: ResourceId | None = None) -> None:
        self._stamps = stamps
        self._server = server
        self._resource_id = resource_id

    async def __call__(self, ctx: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        """The SDK's interface of a middleware."""
        if ctx.method != "tools/call" or ctx.request_id is None:
            return await call_next(ctx)
        params = ctx.params or {}
        execution = begin(
            self._stamps,
            tool=params.get("name"),
            arguments=params.get("arguments"),
            meta=params.get("_meta"),
            server=self._server,
            request=ctx,
            resource_id=self._resource_id,
        )
        if execution is None:
            return await call_next(ctx)
        try:
            with execution:
                result = await call_next(ctx)
        except BaseException as error:
            execution.failed(error_type(error))
            raise
        ended(execution, result)
        return result


def stamp(client: _Client, ledger: Stamps | None = None, *, server: str | None = None) -> _Client:
    """Let `client` say in every tools/call who asks, from now on; returns the same object.

        async with Client(server) as client:
            stamp(client)

    For `ClientSession` and `Client` of the official SDK, and for FastMCP's `Client`. The keys are `agent_ledger/…` in
    `_meta`; what the caller puts there stays. With `ledger` the client also records the calls itself, for servers
    that don't; where both do and write to the same ledger, it is one row. `server` None: the name that the server puts
    into its results. Stamping twice is harmless; the last ledger counts.
    Raises LedgerError for an object that can't send `_meta`.
    """
    kind: type = type(client)
    if not hasattr(kind, "_agent_ledger"):
        method = "call_tool_mcp" if hasattr(kind, "call_tool_mcp") else "call_tool"
        if "meta" not in inspect.signature(getattr(kind, method, object)).parameters:
            raise LedgerError(
                f"a {kind.__module__}.{kind.__qualname__} can't be stamped: "
                "give a ClientSession or Client of mcp, or a Client of fastmcp"
            )
        # By a class of its own and not by an attribute: FastMCP copies clients with all their attributes.
        object.__setattr__(client, "__class__", _stamped(kind, method))
    before: tuple[Stamps | None, str | None] = client._agent_ledger  # type: ignore[attr-defined]
    now = before[0] if ledger is None else ledger, before[1] if server is None else server
    object.__setattr__(client, "_agent_ledger", now)
    return client


@cache
def _stamped(kind: type, method: str) -> type:
    """A class that is like `kind`, but for `method`, which calls a tool."""
    original = getattr(kind, method)
    signature = inspect.signature(original)

    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError:
            return await original(self, *args, **kwargs)  # which says what is wrong
        stamps, server = self._agent_ledger
        said = {**meta(), **(bound.arguments.get("meta") or {})}
        if stamps is not None:
            said.setdefault(TOOL_CALL_ID, clock.sortable_id())
        bound.arguments["meta"] = said or None
        if stamps is None:
            return await original(*bound.args, **bound.kwargs)
        return await _recorded(stamps, server, said, bound, original)

    call.__name__, call.__doc__ = method, original.__doc__
    call.__wrapped__ = original  # type: ignore[attr-defined]  # as functools.wraps does, for signatures
    names = {
        method: call, "_agent_ledger": (None, None), "__module__": kind.__module__, "__doc__": kind.__doc__,
        "__qualname__": kind.__qualname__,
    }  # fmt: skip
    return types.new_class(kind.__name__, (kind,), exec_body=lambda namespace: namespace.update(names))


async def _recorded(
    stamps: Stamps,
    server: str | None,
    said: dict[str, Any],
    bound: inspect.BoundArguments,
    original: Callable[..., Awaitable[Any]],
) -> Any:
    execution = begin(
        stamps,
        tool=bound.arguments.get("name"),
        arguments=bound.arguments.get("arguments"),
        meta=said,
        server=server,
    )
    if execution is None:
        return await original(*bound.args, **bound.kwargs)
    try:
        with execution:
            result = await original(*bound.args, **bound.kwargs)
    except BaseException as error:
        execution.failed(error_type(error))
        raise
    ended(execution, result)
    return result
