from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastmcp.server.middleware", reason="needs fastmcp")

import mcp_types
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError
from mcp import MCPError
from pydantic import BaseModel

from agent_ledger import Ledger, attribute
from agent_ledger.capture.fastmcp import AuditMiddleware
from agent_ledger.capture.mcp import stamp
from agent_ledger.capture.tool import report
from agent_ledger.importers import fields


@pytest.fixture(autouse=True)
def quiet() -> None:
    for name in ("mcp", "fastmcp"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they print long tracebacks of tools that fail


class Model(BaseModel):
    x: int


def server(*middleware: AuditMiddleware, name: str = "files") -> FastMCP:
    made = FastMCP(name)
    for one in middleware:
        made.add_middleware(one)

    @made.tool
    def add(a: int, b: int) -> int:
        return a + b

    @made.tool
    def greet(password: str) -> str:
        return f"Grüße, {password}"

    @made.tool
    def crash() -> str:
        raise RuntimeError("swordfish")

    @made.tool
    def body() -> str:
        return str(Model(x="swordfish"))  # type: ignore[arg-type]

    @made.tool
    def refuse() -> str:
        raise ToolError("not today")

    @made.tool
    def scan(bucket: str) -> str:
        report(resource_id=bucket, units=3, unit="page", cost_usd=0.25)
        return "done"

    @made.tool
    async def forever() -> str:
        await asyncio.sleep(60)
        return "never"

    return made


CALLS: list[tuple[str, dict[str, Any]]] = [
    ("add", {"a": 1, "b": 2}), ("crash", {}), ("body", {}), ("refuse", {}), ("nope", {}), ("add", {"a": "x"}),
]  # fmt: skip
ENDS = [
    ("add", "ok", None), ("crash", "error", "RuntimeError"), ("body", "error", "ValidationError"),
    ("refuse", "error", "tool_error"), ("nope", "error", "unknown_tool"), ("add", "error", "invalid_params"),
]  # fmt: skip


def talk(
    made: FastMCP, *calls: tuple[str, dict[str, Any]], prepare: Callable[[Client[Any]], object] = stamp
) -> list[Any]:
    """The results of some calls, each made by agent a in the course of the LLM call r."""

    async def run() -> list[Any]:
        results = []
        async with Client(made) as client:
            prepare(client)
            for name, arguments in calls:
                with attribute(agent_id="a", request_id="r"):
                    results.append(await client.call_tool(name, arguments, raise_on_error=False))
        return results

    return asyncio.run(run())


def rows(ledger: Ledger, *names: str) -> list[tuple[Any, ...]]:
    """The columns asked for, of the rows that count."""
    lost = {row["id"] for row in ledger.rows("superseded_tool_call")}
    return [tuple(row[name] for name in names) for row in ledger.rows("audit") if row["id"] not in lost]


def test_every_call_is_a_row_however_it_ends(ledger: Ledger) -> None:
    results = talk(server(AuditMiddleware(ledger)), *CALLS)
    assert [one.is_error for one in results] == [False, True, True, True, True, True]
    assert rows(ledger, "tool", "status", "error_type") == ENDS
    assert set(rows(ledger, "server", "request_id", "agent_id")) == {("files", "r", "a")}


def test_malformed_params_are_a_row(ledger: Ledger) -> None:
    """FastMCP refuses them before its `on_call_tool`."""

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
            task = asyncio.create_task(client.call_tool("forever"))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    assert rows(ledger, "tool", "status", "error_type") == [("forever", "error", "CancelledError")]


def test_seen_by_both_sides_it_is_one_call(ledger: Ledger) -> None:
    made = server(AuditMiddleware(ledger))
    talk(made, *CALLS, ("scan", {"bucket": "b"}), prepare=lambda client: stamp(client, ledger))
    assert sorted(rows(ledger, "tool", "status", "error_type")) == sorted([*ENDS, ("scan", "ok", None)])
    assert [row for row in rows(ledger, "tool", "resource_id", "units", "cost_usd") if row[0] == "scan"] == [
        ("scan", "b", 3, 0.25)
    ]
    assert ledger.rows("request_conflicts") == []
    measured = {(row["tool_call_id"], row["result_digest"]) for row in ledger.rows("audit") if row["status"] == "ok"}
    assert len(measured) == 2, "both sides measure the same"


def test_a_client_can_record_for_a_server_that_does_not(ledger: Ledger) -> None:
    talk(server(), *CALLS, prepare=lambda client: stamp(client, ledger))
    hidden = {"RuntimeError": "exception", "ValidationError": "exception"}
    assert rows(ledger, "tool", "status", "error_type") == [
        (tool, status, hidden.get(kind or "", kind)) for tool, status, kind in ENDS
    ]


def test_copies_of_a_stamped_client_have_their_own_connection(ledger: Ledger) -> None:
    async def run() -> None:
        client = stamp(Client(server(AuditMiddleware(ledger))))
        fresh = client.new()
        async with fresh:
            with attribute(agent_id="a", request_id="r"):
                result = await fresh.call_tool("add", {"a": 1, "b": 2})
                assert result.data == 3
                assert not client.is_connected()
                raw = await fresh.call_tool_mcp("add", {"a": 1, "b": 2}, None, None, {"mine": 1})
                assert not raw.is_error

    asyncio.run(run())
    assert rows(ledger, "agent_id", "request_id") == [("a", "r")] * 2


def test_mounted_servers_make_one_row(ledger: Ledger) -> None:
    outside = FastMCP("outside")
    outside.add_middleware(AuditMiddleware(ledger))
    outside.mount(server(AuditMiddleware(ledger), name="inside"), namespace="in")
    talk(outside, ("in_scan", {"bucket": "b"}), prepare=lambda client: stamp(client, ledger))
    assert rows(ledger, "tool", "server", "resource_id") == [("in_scan", "outside", "b")]


def test_a_decorated_function_under_the_middleware_is_one_row(ledger: Ledger) -> None:
    made = server(AuditMiddleware(ledger, resource_id=lambda *_: "unknown"))

    @made.tool
    @ledger.tool(resource_id=lambda bucket: bucket)
    def read(bucket: str) -> str:
        return bucket

    (result,) = talk(made, ("read", {"bucket": "b"}))
    assert result.data == "b"
    assert rows(ledger, "tool", "server", "resource_id") == [("read", "files", "b")]


def test_a_call_without_a_client(ledger: Ledger) -> None:
    async def run() -> None:
        with attribute(agent_id="a", request_id="r"):
            await server(AuditMiddleware(ledger)).call_tool("add", {"a": 1, "b": 2})

    asyncio.run(run())
    assert rows(ledger, "tool", "agent_id", "request_id", "status") == [("add", "a", "r", "ok")]


class Broken:
    def stamp_call(self, **_: Any) -> None:
        raise OSError("full")

    stamp_tool_call = stamp_call

    def unfinished_call(self, _: str) -> None:
        return None


def test_a_ledger_that_fails_is_no_trouble() -> None:
    first, second = talk(server(AuditMiddleware(Broken())), CALLS[0], CALLS[1])
    assert (first.data, second.is_error) == (3, True)


def test_contents_are_never_stored(ledger: Ledger, tmp_path: Path) -> None:
    calls = [("greet", {"password": "swordfish"}), ("add", {"a": "swordfish"}), ("crash", {}), ("body", {})]
    talk(server(AuditMiddleware(ledger)), *calls, prepare=lambda client: stamp(client, ledger))
    assert len(ledger.rows("audit")) >= 4
    assert not [path for path in tmp_path.iterdir() if b"swordfish" in path.read_bytes()]
