"""FastMCP: an audit row for every tools/call that a server answers. Clients are stamped by `capture.mcp.stamp`."""

from __future__ import annotations

from typing import Any

try:
    from fastmcp.server.middleware import Middleware
except ImportError as error:
    raise ImportError("agent_ledger.capture.fastmcp needs fastmcp: pip install 'agent-cost-ledger[mcp]'") from error

from agent_ledger.capture.exchange import Stamps
from agent_ledger.capture.mcp_call import ResourceId, begin, ended, error_type


class AuditMiddleware(Middleware):
    """Records every tools/call that a FastMCP server answers, those that fail included.

        server.add_middleware(AuditMiddleware(ledger))

    Everything else is as for `agent_ledger.capture.mcp.AuditMiddleware`; `server` None: FastMCP's own name of it. Of
    servers mounted into one another the outermost that has it makes the row.
    """

    def __init__(self, stamps: Stamps, *, server: str | None = None, resource_id: ResourceId | None = None) -> None:
        self._stamps = stamps
        self._server = server
        self._resource_id = resource_id

    async def on_request(self, context: Any, call_next: Any) -> Any:
        """FastMCP's hook. `on_call_tool` would miss the requests that it refuses before it looks for the tool."""
        if context.method != "tools/call":
            return await call_next(context)
        fastmcp_context = context.fastmcp_context
        request = getattr(fastmcp_context, "request_context", None)
        execution = begin(
            self._stamps,
            tool=_said(context.message, "name"),
            arguments=_said(context.message, "arguments"),
            meta=getattr(request, "meta", None),
            server=self._server or getattr(getattr(fastmcp_context, "fastmcp", None), "name", None),
            request=request,
            resource_id=self._resource_id,
        )
        if execution is None:
            return await call_next(context)
        try:
            with execution:
                result = await call_next(context)
        except BaseException as error:
            execution.failed(error_type(error))
            raise
        ended(execution, result)
        return result


def _said(message: Any, name: str) -> Any:
    """A parameter of the request, which is not a model yet where it was refused early."""
    return message.get(name) if isinstance(message, dict) else getattr(message, name, None)
