"""What a tools/call of the Model Context Protocol says: who asks, and how it ended. Shared by servers and clients.

Our keys in `_meta` are `agent_ledger/request_id`, `agent_ledger/agent_id` and `agent_ledger/tool_call_id`; each may be
missing. The SDKs' objects are only looked at, so none of them is imported here.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from agent_ledger import clock
from agent_ledger.capture.exchange import Stamps
from agent_ledger.capture.tool_call import INVALID_PARAMS, TOOL_ERROR, UNKNOWN_TOOL, Execution, caller, current

_log = logging.getLogger("agent_ledger")

REQUEST_ID: Final = "agent_ledger/request_id"
AGENT_ID: Final = "agent_ledger/agent_id"
TOOL_CALL_ID: Final = "agent_ledger/tool_call_id"
HIDDEN_EXCEPTION: Final = "exception"  # the server does not say which

ResourceId = Callable[[str, Mapping[str, Any]], str | None]

_SERVER_INFO = "io.modelcontextprotocol/serverInfo"
_INVALID_PARAMS = -32602
_LONGEST = 256  # characters of an id or a name; what is longer is no id
_TRACEPARENT = re.compile(r"(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-[\da-f]{2}(-.*)?", re.ASCII)
_VALIDATION = re.compile(r"\d+ validation errors? for |Input validation error")


def meta() -> dict[str, str]:
    """What to put into `_meta` of a tools/call that is made here and now, from the surrounding `attribute` and the last
    LLM call. What is not known is not there."""
    request_id, agent_id = caller()
    said = {REQUEST_ID: request_id, AGENT_ID: agent_id}
    return {key: value for key, value in said.items() if value is not None}


def begin(
    stamps: Stamps,
    *,
    tool: object,
    arguments: object,
    meta: object,
    server: str | None = None,
    request: object = None,
    resource_id: ResourceId | None = None,
) -> Execution | None:
    """The tools/call that starts now. None: it is being recorded already, or can't be. Never raises.

    `request` is the SDK's object for it: a server that is mounted into another one gets the same, and makes no second
    row. Where `_meta` says neither request nor agent, they are those of the surrounding `attribute`.
    """
    try:
        running = current()
        if running and not running.over and running.stamps is stamps and running.request is request is not None:
            return None
        given = _mapping(meta)
        request_id, agent_id = _id(given.get(REQUEST_ID)), _id(given.get(AGENT_ID))
        if request_id is None and agent_id is None:
            request_id, agent_id = caller()
        arguments = {} if arguments is None else arguments
        name = tool[:_LONGEST] if isinstance(tool, str) and tool.strip() else "(invalid)"
        execution = Execution(
            stamps,
            tool=name,
            server=server,
            arguments=arguments,
            request_id=request_id,
            agent_id=agent_id,
            tool_call_id=_id(given.get(TOOL_CALL_ID)) or _span() or _traced(given.get("traceparent")),
            request=object() if request is None else request,
        )
        if resource_id:
            execution.know(resource_id=_resource(resource_id, name, arguments))
    except Exception:
        _log.warning("A tool call could not be recorded", exc_info=True)
        return None
    return execution


def ended(execution: Execution, result: object) -> None:
    """The call has this result: a CallToolResult as a dict, or an SDK's object of it. Never raises."""
    try:
        said = _result(result)
        if said.get("resultType", "complete") != "complete" or "content" not in said or "input_required" in said:
            execution.left_open()  # the client is asked for input first, or it goes on as a task
            return
        structured = said.get("structuredContent", said.get("structured_content"))
        content = {"content": said["content"]} | ({} if structured is None else {"structuredContent": structured})
        if execution.server is None:
            execution.server = _id(_mapping(_mapping(_mapping(said.get("_meta")).get(_SERVER_INFO))).get("name"))
        if said.get("isError", said.get("is_error")) is True:
            execution.failed(_told(execution.tool, said["content"]), content)
        else:
            execution.returned(content)
    except Exception:
        _log.warning("A tool call could not be recorded", exc_info=True)


def error_type(error: BaseException) -> str:
    """What kind of error an exception is that an SDK raised for a tools/call: one of ours, or the name of its class."""
    names = {kind.__name__ for kind in type(error).__mro__}
    code, message = getattr(getattr(error, "error", None), "code", None), str(error)
    if names & {"NotFoundError", "DisabledError"} or (code == _INVALID_PARAMS and message.startswith("Unknown tool")):
        return UNKNOWN_TOOL
    if "ValidationError" in names or code == _INVALID_PARAMS:
        return INVALID_PARAMS
    if "ToolError" in names:
        cause = error.__cause__
        while cause and cause.__cause__ and type(cause).__name__.startswith("_"):  # FastMCP's own wrapping
            cause = cause.__cause__
        return type(cause).__name__ if cause else TOOL_ERROR
    return type(error).__name__


def _told(tool: str, content: object) -> str:
    """The kind of error, by the text that the Python SDK and FastMCP send; they say it in no other way."""
    blocks = content if isinstance(content, list) else []
    text = str(_mapping(blocks[0]).get("text")) if blocks else ""
    if text in (f"Unknown tool: {tool}", f"Unknown tool: {tool!r}"):
        return UNKNOWN_TOOL
    if text == f"Error executing tool {tool}" or text.startswith(f"Error calling tool {tool!r}"):
        return HIDDEN_EXCEPTION
    if _VALIDATION.match(text.removeprefix(f"Error executing tool {tool}: ")):
        return INVALID_PARAMS
    return TOOL_ERROR


def _span() -> str | None:
    """The OpenTelemetry span of this very call, as the importers of spans name it, so that both are one row."""
    trace = sys.modules.get("opentelemetry.trace")
    span = trace.get_current_span() if trace else None
    if not span or not span.is_recording():
        return None
    if (getattr(span, "attributes", None) or {}).get("mcp.method.name") != "tools/call":
        return None
    context = span.get_span_context()
    return f"{context.trace_id:032x}:{context.span_id:016x}"


def _traced(traceparent: object) -> str | None:
    """An id that leads to the trace of the caller. The span there may have made several calls, so it takes a part of
    its own to be the id of one of them."""
    found = _TRACEPARENT.fullmatch(traceparent) if isinstance(traceparent, str) else None
    return f"{found[1]}:{found[2]}:{clock.sortable_id()}" if found else None


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() and len(value) <= _LONGEST else None


def _resource(resource_id: ResourceId, tool: str, arguments: object) -> str | None:
    try:
        return resource_id(tool, arguments if isinstance(arguments, Mapping) else {})
    except Exception:
        _log.warning("The resource_id of a call of %s could not be told", tool, exc_info=True)
        return None


def _result(value: object) -> Mapping[str, Any]:
    said, content = _mapping(value), getattr(value, "content", None)
    if said or content is None:
        return said
    structured = getattr(value, "structured_content", None)  # FastMCP 2 has a class of its own, which is no model
    return {"content": [_mapping(block) for block in content], "structured_content": structured}


def _mapping(value: object) -> Mapping[str, Any]:
    """`value` as a mapping: a model of pydantic by its dump, anything else as an empty one."""
    if isinstance(value, Mapping):
        return value
    dump = getattr(value, "model_dump", None)
    return dump(mode="json", by_alias=True, exclude_none=True) if callable(dump) else {}
