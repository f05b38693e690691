"""The plugin in a real Datasette, in this process."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support import call

from agent_ledger import Ledger

Datasette = pytest.importorskip("datasette.app", reason="the extra datasette is not installed").Datasette


@pytest.fixture
def ask(ledger: Ledger, tmp_path: Path) -> Callable[..., list[Any]]:
    """Responses of a Datasette that has the ledger open, and a database that is none."""
    ledger.record_calls([call(request_id="r1", agent_id="a"), call(request_id="r2", agent_id="<script>")])
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("create table t (x)")
    connection.close()

    async def responses(*paths: str) -> list[Any]:
        datasette = Datasette([str(ledger.path), str(other)])
        await datasette.invoke_startup()
        found = [await datasette.client.get(path, follow_redirects=True) for path in paths]
        for database in datasette.databases.values():
            database.close()
        datasette.executor.shutdown()
        return found

    def asked(*paths: str) -> list[Any]:
        awaitable: Awaitable[list[Any]] = responses(*paths)
        return asyncio.run(awaitable)  # type: ignore[arg-type]

    return asked


@pytest.mark.filterwarnings("ignore")  # Datasette's own
def test_the_menu_of_a_ledger_offers_the_main_question(ask: Callable[..., list[Any]]) -> None:
    ours, theirs = ask("/ledger", "/other")
    assert ours.status_code == theirs.status_code == 200
    assert "Which agent spent the money?" in ours.text
    assert "/ledger/-/ledger" in ours.text
    assert "Which agent spent the money?" not in theirs.text


@pytest.mark.filterwarnings("ignore")
def test_views_can_be_browsed_and_filtered_by_computed_columns(ask: Callable[..., list[Any]]) -> None:
    page, rows, filtered = ask(
        "/ledger/cost_by_agent",
        "/ledger/cost_by_agent.json?_shape=array",
        "/ledger/cost_by_agent.json?_shape=array&calls=1&prompt_tokens__gt=0",
    )
    assert page.status_code == 200
    assert "<script></td>" not in page.text
    assert {row["agent_id"] for row in rows.json()} == {"a", "<script>"}
    assert filtered.json() == rows.json()
