"""A real Datasette in this process, of whichever version is installed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support import add_bill, add_prices, call, price, raw, tool_call

from agent_ledger import Ledger, closing

pytest.importorskip("datasette", reason="the extra datasette is not installed")

from datasette.app import Datasette
from datasette.database import Database
from datasette_agent_ledger import compat

PAGES = (
    "",
    "/agent/a",
    "/team/risk",
    "/feature/payments",
    "/customer/acme",
    "/model/m",
    "/request/r1",
    "/budgets",
    "/reconciliation",
    "/reconciliation?changes=1",
    "/prices",
    "/quality",
)
"""Every page, of the ledger that `ledgers` fills."""


class Server:
    """Datasette with some files open."""

    def __init__(self, *paths: Path, config: Mapping[str, Any] | None = None) -> None:
        told = {} if config is None else {"config": config} if compat.MODERN else {"metadata": config}
        settings = {
            "num_sql_threads": 1,
            "sql_time_limit_ms": 20_000,
            "facet_time_limit_ms": 20_000,
        }  # of slow machines
        self.datasette = Datasette([str(path) for path in paths], settings=settings, **told)
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self.datasette.invoke_startup())

    def get(self, path: str, actor: Mapping[str, Any] | None = None, *, follow: bool = True) -> Any:
        """The response, as the actor sees it."""
        cookies = {} if actor is None else {"ds_actor": self.datasette.sign({"a": actor}, "actor")}
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
        return self._loop.run_until_complete(self.datasette.client.get(path, headers=headers, follow_redirects=follow))

    def wait(self, awaitable: Any) -> Any:
        return self._loop.run_until_complete(awaitable)

    def close(self) -> None:
        for database in self.datasette.databases.values():
            Database.close(database)
        self.datasette.executor.shutdown()
        self._loop.close()


def fill(ledger: Ledger) -> None:
    """January 2026: two agents and teams, tools, a bill, a closed month with a call that came late."""
    add_prices(ledger, price(input=10**6, output=10**7, effective_from="2025-01-01T00:00:00.000Z"))
    ledger.assign("a", team="risk", feature="payments", owner="mia")
    ledger.assign("b", team="growth", feature="search")
    ledger.record_calls(
        [
            call(request_id="r1", agent_id="a", customer_id="acme", prompt_tokens=1000),
            call(request_id="r2", agent_id="b", customer_id="globex", ts="2026-01-16T23:30:00.000Z"),
            call(request_id="r3", agent_id="b", model="never-priced", ts="2026-01-17T12:00:00.000Z"),
            call(request_id="r", agent_id="a", customer_id="acme", ts="2025-12-20T12:00:00.000Z"),
        ]
    )
    ledger.record_tool_call(**tool_call(request_id="r1", agent_id="a", tool_call_id="t1", cost_usd=0.5, server="s"))
    ledger.record_tool_call(**tool_call(request_id="lost", tool_call_id="t2"))
    with raw(ledger) as connection:
        add_bill(connection)
        closing.close(connection, "2026-01", reason="month end", closed_by="zoe")
    ledger.record_call(**call(request_id="late", agent_id="b"))


def hrefs(html: str) -> list[str]:
    """The links of a page."""
    found = re.findall(r'href="([^"]*)"', html)
    return [href.replace("&amp;", "&").replace("&#39;", "'").replace("&#34;", '"') for href in found]


def shown(html: str) -> str:
    """The part of a page that is ours."""
    return html.partition('<section class="content">')[2].partition("<footer")[0]


def denied(database: str, *names: str) -> dict[str, Any]:
    """A configuration where only root sees these tables and views, and runs SQL."""
    return {
        "databases": {
            database: {"allow_sql": {"id": "root"}, "tables": {name: {"allow": {"id": "root"}} for name in names}}
        }
    }


def quoted(text: str) -> str:
    return quote(text, safe="")
