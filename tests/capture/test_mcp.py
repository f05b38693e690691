from __future__ import annotations

import asyncio
import copy
import inspect
import json
import logging
import sys
import textwrap
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp.server.mcpserver", reason="needs mcp 2")

import mcp_types
from mcp import Client, ClientSession, MCPError, StdioServerParameters, stdio_client
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from agent_ledger import Ledger, LedgerError, attribute
from agent_ledger.attribution import note_request
from agent_ledger.capture.mcp import AuditMiddleware, meta, stamp
from agent_ledger.capture.tool import report
from agent_ledger.importers import fields

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # it prints long tracebacks of tools that fail


def server(*middleware: Any, name: str = "files", seen: list[Any] | None = None) -> MCPServer:
    async def look(ctx: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        if seen is not None and ctx.method == "tools/call":
            seen.append({key: value for key, value in ctx.params["_meta"].items() if "modelcontext" not in key})
        return await call_next(ctx)

    made = MCPServer(name, middleware=[look, *middleware])

    @made.tool()
    def add(a: int, b: int) -> int:
        return a + b

    @made.tool()
    def greet(password: str) -> str:
        return f"Grüße, {password}"

    @made.tool()
    def crash() -> str:
        raise RuntimeError("swordfish")

    @made.tool()
    def refuse() -> str:
        raise ToolError("not today")

    @made.tool()
    def protocol() -> str:
        raise MCPError(code=-32000, message="swordfish")

    @made.tool()
    def scan(bucket: str) -> str:  # runs in a thread
        report(resource_id=bucket, units=3, unit="page", cost_usd=0.25)
        return "done"

    @made.tool()
    async def forever() -> str:
        await asyncio.sleep(60)
        return "never"

    return made


def talk(
    made: MCPServer,
    *calls: tuple[str, dict[str, Any] | None],
    prepare: Callable[[Client], object] = lambda client: client,
) -> list[Any]:
    """The results of some calls, each made by agent a in the course of the LLM call r."""

    async def run() -> list[Any]:
        results: list[Any] = []
        async with Client(made) as client:
            prepare(client)
            for name, arguments in calls:
                with attribute(agent_id="a", request_id="r"):
                    try:
                        results.append(await client.call_tool(name, arguments))
                    except MCPError as error:
                        results.append(error)
        return results

    return asyncio.run(run())


def rows(ledger: Ledger, *names: str) -> list[tuple[Any, ...]]:
    """The columns asked for, of the rows that count."""
    lost = {row["id"] for row in ledger.rows("superseded_tool_call")}
    return [tuple(row[name] for name in names) for row in ledger.rows("audit") if row["id"] not in lost]


def test_every_call_is_a_row_however_it_ends(ledger: Ledger) -> None:
    made = server(AuditMiddleware(ledger))
    results = talk(
        made, ("add", {"a": 1, "b": 2}), ("crash", {}), ("refuse", None), ("nope", {}), ("add", {"a": "x"}),
        ("protocol", {}), prepare=stamp,
    )  # fmt: skip
    assert [getattr(one, "is_error", "raised") for one in results] == [False, True, True, True, True, "raised"]
    assert rows(ledger, "tool", "server", "status", "error_type", "request_id", "agent_id") == [
        ("add", "files", "ok", None, "r", "a"),
        ("crash", "files", "error", "exception", "r", "a"),
        ("refuse", "files", "error", "tool_error", "r", "a"),
        ("nope", "files", "error", "unknown_tool", "r", "a"),
        ("add", "files", "error", "invalid_params", "r", "a"),
        ("protocol", None, "error", "MCPError", "r", "a"),
    ]
    assert all(duration is not None for (duration,) in rows(ledger, "duration_ms"))


def test_sizes_and_digests(ledger: Ledger) -> None:
    arguments = {"password": "swördfish"}
    (result,) = talk(server(AuditMiddleware(ledger)), ("greet", arguments))
    content = {
        "content": [{"type": "text", "text": result.content[0].text}],
        "structuredContent": result.structured_content,
    }
    size = [len(json.dumps(one, ensure_ascii=False, separators=(",", ":")).encode()) for one in (arguments, content)]
    assert rows(ledger, "arguments_bytes", "arguments_digest", "result_bytes", "result_digest") == [
        (size[0], fields.digest(arguments), size[1], fields.digest(content))
    ]


def test_contents_are_never_stored(ledger: Ledger, tmp_path: Path) -> None:
    made = server(AuditMiddleware(ledger))
    talk(
        made, ("greet", {"password": "swordfish"}), ("add", {"a": "swordfish"}), ("crash", {}), ("protocol", {}),
        prepare=lambda client: stamp(client, ledger),
    )  # fmt: skip
    assert len(ledger.rows("audit")) >= 4
    assert not [path for path in tmp_path.iterdir() if b"swordfish" in path.read_bytes()]


def test_malformed_params_and_other_methods(ledger: Ledger) -> None:
    async def run() -> None:
        async with Client(server(AuditMiddleware(ledger, server="mine"))) as client:
            await client.list_tools()
            params = mcp_types.CallToolRequestParams.model_construct(name="add", arguments=[1])
            request = mcp_types.CallToolRequest.model_construct(method="tools/call", params=params)
            with pytest.raises(MCPError, match="Invalid request"), pytest.warns(UserWarning, match="serializer"):
                await client.session.send_request(request, mcp_types.CallToolResult)

    asyncio.run(run())
    assert rows(ledger, "tool", "server", "status", "error_type", "arguments_digest") == [
        ("add", "mine", "error", "invalid_params", fields.digest([1]))
    ]


def test_a_call_that_is_cancelled(ledger: Ledger) -> None:
    async def run() -> None:
        async with Client(server(AuditMiddleware(ledger))) as client:
            stamp(client)
            with suppress(TimeoutError):
                await asyncio.wait_for(client.call_tool("forever"), 0.05)

    asyncio.run(run())
    assert rows(ledger, "tool", "status", "error_type") == [("forever", "error", "CancelledError")]


def test_a_tool_reports_what_it_used(ledger: Ledger) -> None:
    talk(
        server(AuditMiddleware(ledger, resource_id=lambda tool, _: f"of {tool}")),
        ("scan", {"bucket": "b"}),
        ("refuse", {}),
    )
    assert rows(ledger, "tool", "resource_id", "units", "unit", "cost_usd") == [
        ("scan", "b", 3, "page", 0.25), ("refuse", "of refuse", None, None, None),
    ]  # fmt: skip


def test_a_decorated_function_under_the_middleware_is_one_row(ledger: Ledger) -> None:
    made = server(AuditMiddleware(ledger))

    @made.tool()
    @ledger.tool(resource_id=lambda bucket: bucket)
    def read(bucket: str) -> str:
        return bucket

    (result,) = talk(made, ("read", {"bucket": "b"}))
    assert result.structured_content == {"result": "b"}
    assert rows(ledger, "tool", "server", "resource_id") == [("read", "files", "b")]


def test_in_process_the_attribution_needs_no_meta(ledger: Ledger) -> None:
    talk(server(AuditMiddleware(ledger)), ("add", {"a": 1, "b": 2}))
    assert rows(ledger, "request_id", "agent_id") == [("r", "a")]


def test_the_middleware_twice_is_one_row(ledger: Ledger) -> None:
    talk(server(AuditMiddleware(ledger), AuditMiddleware(ledger)), ("add", {"a": 1, "b": 2}))
    assert len(ledger.rows("audit")) == 1


class Broken:
    def stamp_call(self, **_: Any) -> None:
        raise OSError("full")

    stamp_tool_call = stamp_call

    def unfinished_call(self, _: str) -> None:
        return None


def test_a_ledger_that_fails_is_no_trouble() -> None:
    made = server(AuditMiddleware(Broken()))
    results = talk(made, ("add", {"a": 1, "b": 2}), ("nope", {}), prepare=lambda client: stamp(client, Broken()))
    assert results[0].structured_content == {"result": 3}
    assert results[1].is_error


# -- clients ----------------------------------------------------------------------------------------------------------


def test_a_stamped_client_says_who_asks_and_keeps_what_the_caller_says() -> None:
    seen: list[Any] = []

    async def run() -> None:
        async with Client(server(seen=seen)) as client:
            assert stamp(stamp(client)) is client
            assert isinstance(client, Client)
            assert inspect.signature(client.call_tool) == inspect.signature(Client(server()).call_tool)
            await client.call_tool("refuse")
            with attribute(agent_id="a"):
                note_request("req_1", None)
                await client.call_tool("refuse", {}, meta={"mine": 1, "agent_ledger/agent_id": "b"})  # type: ignore[typeddict-unknown-key]
            with attribute(agent_id="a", request_id="r"):
                await client.call_tool("refuse")
                assert seen[-1] == meta()
            with pytest.raises(TypeError, match="unexpected keyword argument 'nope'"):
                await client.call_tool("refuse", nope=1)  # type: ignore[call-arg]

    asyncio.run(run())
    assert seen[0] == {}
    assert seen[1]["mine"] == 1
    assert seen[1]["agent_ledger/agent_id"] == "b"
    assert seen[2] == {"agent_ledger/agent_id": "a", "agent_ledger/request_id": "r"}


def test_a_session_can_be_stamped_too(ledger: Ledger) -> None:
    seen: list[Any] = []

    def prepare(client: Client) -> None:
        assert isinstance(stamp(client.session), ClientSession)
        stamp(client.session, ledger, server="theirs")

    talk(server(seen=seen), ("add", {"a": 1, "b": 2}), prepare=prepare)
    assert seen[0].pop("agent_ledger/tool_call_id") == rows(ledger, "tool_call_id")[0][0]
    assert seen == [{"agent_ledger/agent_id": "a", "agent_ledger/request_id": "r"}]
    assert rows(ledger, "tool", "server", "status") == [("add", "theirs", "ok")]


def test_a_copy_of_a_stamped_client_is_one_of_its_own() -> None:
    class Remote:
        def __init__(self) -> None:
            self.calls: list[Any] = []

        async def call_tool(self, name: str, meta: dict[str, Any] | None = None) -> None:
            self.calls.append((name, meta))

    one = stamp(Remote())
    other = copy.copy(one)
    other.calls = []
    with attribute(agent_id="a"):
        asyncio.run(other.call_tool("t"))
    assert (one.calls, other.calls) == ([], [("t", {"agent_ledger/agent_id": "a"})])


def test_a_client_can_record_for_a_server_that_does_not(ledger: Ledger) -> None:
    talk(
        server(), ("add", {"a": 1, "b": 2}), ("crash", {}), ("refuse", {}), ("nope", {}), ("add", {"a": "x"}),
        ("protocol", {}), prepare=lambda client: stamp(client, ledger),
    )  # fmt: skip
    assert rows(ledger, "tool", "server", "status", "error_type", "request_id", "agent_id") == [
        ("add", "files", "ok", None, "r", "a"),
        ("crash", "files", "error", "exception", "r", "a"),
        ("refuse", "files", "error", "tool_error", "r", "a"),
        ("nope", "files", "error", "unknown_tool", "r", "a"),
        ("add", "files", "error", "invalid_params", "r", "a"),
        ("protocol", None, "error", "MCPError", "r", "a"),
    ]


def test_seen_by_both_sides_it_is_one_call(ledger: Ledger) -> None:
    calls = ("add", {"a": 1, "b": 2}), ("scan", {"bucket": "b"}), ("crash", {}), ("nope", {}), ("protocol", {})
    talk(server(AuditMiddleware(ledger)), *calls, prepare=lambda client: stamp(client, ledger))
    assert sorted(rows(ledger, "tool", "resource_id", "cost_usd", "status")) == [
        ("add", None, None, "ok"), ("crash", None, None, "error"), ("nope", None, None, "error"),
        ("protocol", None, None, "error"), ("scan", "b", 0.25, "ok"),
    ]  # fmt: skip
    assert ledger.rows("request_conflicts") == []
    seen = ledger.rows("audit")
    for name in ("arguments_digest", "arguments_bytes", "result_digest", "result_bytes"):
        assert len({(row["tool_call_id"], row[name]) for row in seen}) == len(calls), "both sides measure the same"


def test_what_can_not_be_stamped_says_so() -> None:
    class Old:
        async def call_tool(self, name: str) -> None: ...

    for thing in (object(), Old(), 5):
        with pytest.raises(LedgerError, match="can't be stamped"):
            stamp(thing)


def test_many_calls_at_once_are_not_mixed_up(ledger: Ledger) -> None:
    async def ask(client: Client, number: int) -> None:
        with attribute(agent_id=f"agent-{number}", request_id=f"req-{number}"):
            await asyncio.sleep(0)
            result = await client.call_tool("add", {"a": number, "b": 0})
            assert result.structured_content == {"result": number}

    async def run() -> None:
        async with Client(server(AuditMiddleware(ledger))) as client:
            stamp(client, ledger)
            await asyncio.gather(*(ask(client, number) for number in range(50)))

    asyncio.run(run())
    assert sorted(rows(ledger, "agent_id", "request_id", "arguments_digest")) == sorted(
        (f"agent-{number}", f"req-{number}", fields.digest({"a": number, "b": 0})) for number in range(50)
    )


# -- across processes -------------------------------------------------------------------------------------------------

STDIO = """
    import asyncio, sys
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry import trace
    from mcp.server.mcpserver import MCPServer
    from agent_ledger import Ledger
    from agent_ledger.capture.mcp import AuditMiddleware

    if "traced" in sys.argv:
        trace.set_tracer_provider(TracerProvider())
    ledger = Ledger(sys.argv[1])
    server = MCPServer("stdio", middleware=[AuditMiddleware(ledger)])

    @server.tool()
    def span() -> str:
        context = trace.get_current_span().get_span_context()
        return f"{context.trace_id:032x}:{context.span_id:016x}"

    server.run()
"""


@pytest.mark.parametrize("how", ["traced", "untraced"])
def test_over_stdio(ledger: Ledger, tmp_path: Path, how: str) -> None:
    """The server has a span of its own for the call, and the call is named by it; or only the caller's trace."""
    pytest.importorskip("opentelemetry.sdk")
    script = tmp_path / "server.py"
    script.write_text(textwrap.dedent(STDIO))
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    parameters = StdioServerParameters(
        command=sys.executable, args=[str(script), str(ledger.path), how], env={"PYTHONPATH": str(ROOT)}
    )

    async def run() -> str:
        async with Client(stdio_client(parameters)) as client:
            stamp(client)
            with attribute(agent_id="a", request_id="r"):
                result = await client.call_tool("span", meta={"traceparent": f"00-{trace}-{span}-01"})
            return str(result.content[0].text)  # type: ignore[union-attr]

    own = asyncio.run(run())
    ((tool_call_id, *row),) = rows(ledger, "tool_call_id", "tool", "server", "agent_id", "request_id", "status")
    assert row == ["span", "stdio", "a", "r", "ok"]
    assert own.startswith(trace)
    if how == "traced":
        assert tool_call_id == own != f"{trace}:{span}"
    else:
        assert tool_call_id.startswith(f"{trace}:{span}:")
