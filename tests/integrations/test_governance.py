"""The governance server as its users meet it: a subprocess that speaks MCP on its standard streams."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastmcp", reason="needs fastmcp")

from directed import block, throttle
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError
from support import add_prices, call, price, query

from agent_ledger import Ledger

SONNET, HAIKU = "claude-sonnet-5", "claude-haiku-5"
READING = {"agent", "budgets", "events", "explain", "may_call"}
CHANGING = {"grant_exception", "lift_directive"}
Work = Callable[[Any], Awaitable[Any]]


@pytest.fixture(autouse=True)
def quiet() -> None:
    for name in ("mcp", "fastmcp"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they print long tracebacks of tools that fail


@pytest.fixture
def path(ledger: Ledger, no_sources: None) -> Path:  # noqa: ARG001
    """A ledger where an agent has spent 2 of 10 dollars."""
    add_prices(ledger, price(model=SONNET, input=10**9, output=0))
    ledger.assign("scraper", team="data", owner="mia@example.com")
    ledger.set_budget("agent", "scraper", period="month", limit=10, on_breach="throttle", throttle_to=HAIKU)
    ledger.record_call(**call(agent_id="scraper", model=SONNET, prompt_tokens=2000, completion_tokens=0, ts=None))
    return ledger.path


def served(path: Path, work: Work, *options: str) -> Any:
    """Start the server, do `work` with a client of it, and stop it."""

    async def run() -> Any:
        transport = StdioTransport(sys.executable, ["-m", "agent_ledger", "mcp", str(path), *options], keep_alive=False)
        async with Client(transport, timeout=60) as client:
            return await work(client)

    return asyncio.run(run())


async def asked(client: Any, tool: str, **arguments: Any) -> Any:
    return (await client.call_tool(tool, arguments)).data


async def refusal(client: Any, tool: str, **arguments: Any) -> str:
    with pytest.raises(ToolError) as refused:
        await client.call_tool(tool, arguments)
    return str(refused.value)


def test_an_agent_asks_who_it_is_what_it_may_do_and_why(ledger: Ledger, path: Path) -> None:
    [(budget, state)] = [(row["budget"], row["state"]) for row in ledger.rows("budget_status")]
    assert state in ("ok", "forecast over")  # on the first days of a month 2 dollars a day are too many
    directive = throttle(ledger, {"claude-sonnet-*": HAIKU}, budget=budget)
    ledger.stamp_rerouted(agent_id="scraper", request_id="r", requested_model=SONNET, directive_id=directive)

    async def work(client: Any) -> None:
        tools = await client.list_tools()
        assert {tool.name for tool in tools} == READING
        assert all(tool.annotations.read_only_hint and tool.description for tool in tools)

        agent = await asked(client, "agent", agent_id="scraper")
        assert {"team": "data", "owner": "mia@example.com", "feature": None}.items() <= agent.items()
        assert agent["spent"]["cost_usd"] == 2
        [held] = agent["budgets"]
        assert (held["limit_usd"], held["spent_usd"], held["directive"]) == (10, 2, "throttle")
        assert held["forecast_usd"] is None or held["forecast_usd"] >= 2  # early in a month nobody can say

        may = await asked(client, "may_call", agent_id="scraper", model=SONNET)
        assert (may["allowed"], may["model"], may["directive_id"]) == (True, HAIKU, directive)
        assert "spent 120 of 100 USD" in may["reason"]

        why = await asked(client, "explain", directive_id=directive)
        assert [event["phase"] for event in why["events"]] == ["detect", "decide"]
        [shown] = why["directives"]
        assert (shown["calls_changed"], shown["calls_refused"]) == (1, 0)

        for wanted, found in ((state, [budget]), ("exceeded", [])):
            budgets = (await client.call_tool("budgets", {"state": wanted})).structured_content["result"]
            assert [row["budget"] for row in budgets] == found
        events = (await client.call_tool("events", {"budget": budget, "limit": 1})).structured_content["result"]
        assert [event["phase"] for event in events] == ["decide"]

        assert "nothing is known of agent 'nobody'" in await refusal(client, "agent", agent_id="nobody")
        assert "there is no directive 99" in await refusal(client, "explain", directive_id=99)
        assert "give directive_id or event_id" in await refusal(client, "explain")
        await refusal(client, "grant_exception", budget=budget, until="2999-01-01", granted_by="mia", reason="x")

    served(path, work)
    assert query(ledger, "select count(*) from budget_exception") == [(0,)]
    audited = query(ledger, "select server, tool, status from audit order by id")
    assert len(audited) == 10
    assert {server for server, _, _ in audited} == {"agent-ledger"}
    assert [tool for _, tool, status in audited if status != "ok"] == ["agent", "explain", "explain", "grant_exception"]


def test_a_call_that_is_blocked_goes_on_after_an_exception_which_says_who_granted_it(
    ledger: Ledger, path: Path
) -> None:
    [budget] = [row["budget"] for row in ledger.rows("budget_status")]
    directive = block(ledger, budget=budget)

    async def work(client: Any) -> None:
        assert {tool.name for tool in await client.list_tools()} == READING | CHANGING
        may = await asked(client, "may_call", agent_id="scraper", model=SONNET)
        assert (may["allowed"], may["model"]) == (False, None)
        lifted = await asked(
            client, "lift_directive", directive_id=directive, granted_by="mia", reason="the launch is today"
        )
        assert (lifted["budget"], lifted["granted_by"]) == (budget, "mia")
        assert lifted["valid_until"] == "2999-01-01T00:00:00.000Z"
        assert (await asked(client, "may_call", agent_id="scraper", model=SONNET))["allowed"]
        assert "directive 99 is not in force" in await refusal(
            client, "lift_directive", directive_id=99, granted_by="mia", reason="x"
        )
        assert "until" in await refusal(
            client, "grant_exception", budget=budget, until="soon", granted_by="mia", reason="x"
        )

    served(path, work, "--allow-changes")
    assert query(ledger, "select granted_by, reason from budget_exception") == [("mia", "the launch is today")]
    assert ledger.decide("scraper", SONNET).allowed


def test_what_is_no_ledger_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent_ledger", "mcp", str(tmp_path / "none.db")], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "does not exist" in done.stderr
    assert not (tmp_path / "none.db").exists()


def test_without_fastmcp_it_says_what_to_install(path: Path) -> None:
    code = (
        "import sys; sys.modules['fastmcp'] = None\n"
        f"from agent_ledger.cli import cli; cli(['mcp', {str(path)!r}], prog_name='agent-ledger')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'agent-cost-ledger[mcp]'" in done.stderr
