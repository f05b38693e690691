from __future__ import annotations

import re
from typing import Any

import pytest

from agent_ledger import Ledger, attribute
from agent_ledger.capture.mcp_call import begin, ended, error_type, meta

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def call(ledger: Ledger, **options: Any) -> dict[str, Any]:
    """The row of a tools/call that succeeds."""
    execution = begin(ledger, **{"tool": "t", "arguments": {}, "meta": None, **options})
    assert execution
    execution.returned()
    return ledger.rows("audit")[-1]


def test_meta_says_what_is_known() -> None:
    assert meta() == {}
    with attribute(agent_id="a"):
        assert meta()["agent_ledger/agent_id"] == "a"
    with attribute(agent_id="a", request_id="r"):
        assert meta() == {"agent_ledger/request_id": "r", "agent_ledger/agent_id": "a"}


def test_who_asks_is_in_the_meta(ledger: Ledger) -> None:
    said = {"agent_ledger/request_id": "r", "agent_ledger/agent_id": "a", "agent_ledger/tool_call_id": "tc", "other": 1}
    with attribute(agent_id="of the server", request_id="of the server"):
        row = call(ledger, meta=said)
    assert (row["request_id"], row["agent_id"], row["tool_call_id"]) == ("r", "a", "tc")


def test_one_of_them_may_be_missing(ledger: Ledger) -> None:
    with attribute(agent_id="of the server", request_id="of the server"):
        row = call(ledger, meta={"agent_ledger/agent_id": "a"})
    assert (row["request_id"], row["agent_id"]) == (None, "a")  # a request of somebody else would be wrong


@pytest.mark.parametrize("wrong", [5, "", "  ", None, ["r"], {"r": 1}, "x" * 257, True])
def test_what_is_no_id_is_nothing(ledger: Ledger, wrong: object) -> None:
    names = ("agent_ledger/request_id", "agent_ledger/agent_id", "agent_ledger/tool_call_id")
    with attribute(agent_id="a", request_id="r"):
        row = call(ledger, meta=dict.fromkeys(names, wrong))
    assert (row["request_id"], row["agent_id"], len(row["tool_call_id"])) == ("r", "a", 26)


@pytest.mark.parametrize("wrong", [None, 5, "text", [], object()])
def test_meta_that_is_none_is_no_trouble(ledger: Ledger, wrong: object) -> None:
    assert call(ledger, meta=wrong)["request_id"] is None


def test_the_id_leads_to_the_trace_of_the_caller(ledger: Ledger) -> None:
    said = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
    ids = [call(ledger, meta=said)["tool_call_id"] for _ in range(2)]
    assert all(re.fullmatch(f"{TRACE}:{SPAN}:[0-9A-Z]{{26}}", one) for one in ids)
    assert ids[0] != ids[1], "some clients send the span around all their calls"
    assert ledger.rows("superseded_tool_call") == []


@pytest.mark.parametrize(
    "wrong",
    ["", 5, None, f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-01",
     f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01\n"],
)  # fmt: skip
def test_a_wrong_traceparent_is_nothing(ledger: Ledger, wrong: object) -> None:
    assert len(call(ledger, meta={"traceparent": wrong})["tool_call_id"]) == 26


def test_a_later_version_of_traceparent(ledger: Ledger) -> None:
    assert TRACE in call(ledger, meta={"traceparent": f"01-{TRACE}-{SPAN}-01-more"})["tool_call_id"]


def test_a_name_that_is_none_is_a_call_all_the_same(ledger: Ledger) -> None:
    assert [call(ledger, tool=name)["tool"] for name in (None, 5, " ", "x" * 999)] == ["(invalid)"] * 3 + ["x" * 256]


def test_the_resource_is_asked_for_and_may_fail(ledger: Ledger) -> None:
    asked: list[object] = []

    def resource(tool: str, arguments: Any) -> str:
        asked.append((tool, arguments))
        return str(arguments["bucket"])

    options = {"resource_id": resource, "tool": "get"}
    assert call(ledger, arguments={"bucket": "b"}, **options)["resource_id"] == "b"
    assert call(ledger, arguments=[1], **options)["resource_id"] is None
    assert asked == [("get", {"bucket": "b"}), ("get", {})]


def test_the_same_request_is_recorded_once(ledger: Ledger) -> None:
    request = object()
    outer = begin(ledger, tool="a_t", arguments={}, meta=None, request=request)
    assert outer
    with outer:
        assert begin(ledger, tool="t", arguments={}, meta=None, request=request) is None
        assert begin(ledger, tool="t", arguments={}, meta=None, request=object()) is not None
        assert begin(ledger, tool="t", arguments={}, meta=None) is not None
        outer.returned()
        assert begin(ledger, tool="t", arguments={}, meta=None, request=request) is not None, "it is over"


class NotFoundError(Exception): ...


class ToolError(Exception): ...


class ValidationError(ValueError): ...


class _Wrapped(Exception): ...


class MCPError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.error = type("ErrorData", (), {"code": code})


def caused(error: Exception, *causes: Exception) -> Exception:
    last: BaseException = error
    for cause in causes:
        last.__cause__ = cause
        last = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotFoundError(), "unknown_tool"), (MCPError(-32602, "Unknown tool: x"), "unknown_tool"),
        (MCPError(-32602, "Invalid request parameters"), "invalid_params"), (ValidationError(), "invalid_params"),
        (MCPError(-32603, "Internal"), "MCPError"), (ToolError("deliberate"), "tool_error"),
        (caused(ToolError("Error calling tool"), KeyError("k")), "KeyError"),
        (caused(ToolError("Error calling tool"), _Wrapped(), KeyError("k")), "KeyError"),
        (TimeoutError(), "TimeoutError"), (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)  # fmt: skip
def test_kinds_of_exceptions(error: BaseException, kind: str) -> None:
    assert error_type(error) == kind


def text(said: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": said}], "isError": True}


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (text("Unknown tool: t"), "unknown_tool"), (text("Unknown tool: 't'"), "unknown_tool"),
        (text("Error executing tool t"), "exception"), (text("Error calling tool 't': secret"), "exception"),
        (text("Error executing tool t: 2 validation errors for tArguments"), "invalid_params"),
        (text("1 validation error for call[t]"), "invalid_params"),
        (text("Input validation error: 'x' is not of type 'integer'"), "invalid_params"),
        (text("Error executing tool t: Unknown tool: u"), "tool_error"), (text("no"), "tool_error"),
        ({"content": [], "isError": True}, "tool_error"), ({"content": None, "isError": True}, "tool_error"),
        ({"content": [{"type": "image"}], "is_error": True}, "tool_error"),
    ],
)  # fmt: skip
def test_kinds_of_error_results(ledger: Ledger, result: dict[str, Any], kind: str) -> None:
    execution = begin(ledger, tool="t", arguments={}, meta=None)
    assert execution
    ended(execution, result)
    (row,) = ledger.rows("audit")
    assert (row["status"], row["error_type"]) == ("error", kind)


@pytest.mark.parametrize(
    "result",
    [{"resultType": "input_required", "inputRequests": {}}, {"content": [], "input_required": {}}, {"task": {}}, None],
)
def test_what_is_no_result_yet_leaves_the_end_open(ledger: Ledger, result: object) -> None:
    execution = begin(ledger, tool="t", arguments={}, meta=None)
    assert execution
    ended(execution, result)
    (row,) = ledger.rows("audit")
    assert (row["status"], row["error_type"], row["result_bytes"]) == (None, None, None)


def test_a_result_that_is_a_class_of_its_own(ledger: Ledger) -> None:
    """FastMCP 2."""

    class ToolResult:
        content = ({"type": "text", "text": "3"},)
        structured_content = {"result": 3}  # noqa: RUF012

    execution = begin(ledger, tool="t", arguments={}, meta=None)
    assert execution
    ended(execution, ToolResult())
    (row,) = ledger.rows("audit")
    assert (row["status"], row["result_bytes"]) == ("ok", 73)


def test_the_server_names_itself_in_the_result(ledger: Ledger) -> None:
    result = {"content": [], "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "files", "version": ""}}}
    for given in (None, "mine"):
        execution = begin(ledger, tool="t", arguments={}, meta=None, server=given)
        assert execution
        ended(execution, result)
    assert [row["server"] for row in ledger.rows("audit")] == ["files", "mine"]
    assert [row["result_bytes"] for row in ledger.rows("audit")] == [len('{"content":[]}')] * 2
