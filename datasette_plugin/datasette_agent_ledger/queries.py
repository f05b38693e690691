"""The common questions as queries with parameters, in Datasette's own list of queries.

Each is a file of sql/queries. Datasette 0.65 offers them to those who may see what they read; 1.0 runs them for those
who may run SQL, because its trusted queries would ask nobody.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from datasette_agent_ledger import compat, discovery
from datasette_agent_ledger.discovery import Attached
from datasette_agent_ledger.statements import Statement, statement


def names() -> list[str]:
    """The names of all of them."""
    folder = files("datasette_agent_ledger").joinpath("sql", "queries")
    return sorted(one.name.removesuffix(".sql") for one in folder.iterdir() if one.name.endswith(".sql"))


async def canned(datasette: Any, database: str, actor: Any) -> dict[str, dict[str, Any]]:
    """Datasette 0.65: all of them, each allowed only where this very actor may see what it reads."""
    ledger = await discovery.ledger(datasette, database)
    if ledger is None:
        return {}
    queries: dict[str, dict[str, Any]] = {}
    for name, found in _all(ledger):
        query = {"sql": found.sql, "title": found.title, "description": found.note, "params": list(found.parameters)}
        seen = [await compat.can_view(datasette, actor, database, view) for view in (*found.reads, *found.shows)]
        queries[name] = query if all(seen) else query | {"allow": False}
    return queries


async def store(datasette: Any) -> None:
    """Datasette 1.0: all, as queries that are not trusted."""
    if not compat.MODERN:
        return
    for ledger in await discovery.ledgers(datasette):
        for name, found in _all(ledger):
            await datasette.add_query(
                ledger.database,
                name,
                found.sql,
                title=found.title,
                description=found.note,
                parameters=list(found.parameters),
                is_trusted=False,
                source="agent-ledger",
            )


def _all(ledger: Attached) -> list[tuple[str, Statement]]:
    found = ((name, statement(f"queries/{name}")) for name in names())
    return [(name, one) for name, one in found if all(ledger.has(view) for view in one.reads)]
