"""Keeps Datasette from counting and suggesting facets where that means to read a view again and again.

Its settings do so for a whole server; this is for the tables and views of ledgers only, and whoever asks for a count or
a facet in the address gets it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from datasette.utils import tilde_decode

from datasette_agent_ledger import discovery

_COUNTED = (
    "cost_by_",
    "all_in_by_",
    "price",
    "closed_",
    "restatement",
    "reconciliation",
    "budget",
    "assignment",
    "compacted",
)
_NOT_COUNTED = ("all_in_by_request", "reconciliation_entry")

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def wrapped(datasette: Any, app: App) -> App:
    """The application, asked less."""

    async def restrained(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = await _restrained(datasette, scope)
        await app(scope, receive, send)

    return restrained


async def _restrained(datasette: Any, scope: dict[str, Any]) -> dict[str, Any]:
    named = _named(datasette, scope)
    if named is None:
        return scope
    ledger = await discovery.ledger(datasette, named[0])
    if ledger is None or not ledger.has(named[1]):
        return scope
    query = scope.get("query_string", b"").decode("latin-1")
    given = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    added = [name for name in ("_nosuggest", *_uncounted(named[1])) if name not in given]
    query = "&".join(part for part in (query, *(f"{name}=1" for name in added)) if part)
    return {**scope, "query_string": query.encode("latin-1")}


def _named(datasette: Any, scope: dict[str, Any]) -> tuple[str, str] | None:
    """The database and table of an address that may be a table's; None: it is none."""
    path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0]
    parts = path.removeprefix(datasette.setting("base_url")).strip("/").split("/")
    if len(parts) != 2 or "-" in parts:
        return None
    database, table = (tilde_decode(part) for part in parts)
    return (database, table) if database in datasette.databases else None


def _uncounted(name: str) -> tuple[str, ...]:
    few = name.startswith(_COUNTED) and name not in _NOT_COUNTED
    return () if few else ("_nocount",)
