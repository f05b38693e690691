"""What differs between Datasette 0.65 and 1.0, in one place."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any
from urllib.parse import urlencode

MODERN = find_spec("datasette.resources") is not None
"""Is it Datasette 1.0?"""

_DISTRIBUTION = "agent_cost_ledger"

if MODERN:
    from datasette.resources import DatabaseResource, TableResource


async def can_view(datasette: Any, actor: Any, database: str, table: str | None = None) -> bool:
    """May the actor see a table or view, or (without one) the database?"""
    if MODERN:
        resource = DatabaseResource(database) if table is None else TableResource(database, table)
        action = "view-database" if table is None else "view-table"
        return bool(await datasette.allowed(action=action, resource=resource, actor=actor))
    permissions: list[Any] = [("view-database", database), "view-instance"]
    if table is not None:
        permissions.insert(0, ("view-table", (database, table)))
    visible, _ = await datasette.check_visibility(actor, permissions=permissions)
    return bool(visible)


async def can_sql(datasette: Any, actor: Any, database: str) -> bool:
    """May the actor run SQL of their own?"""
    if MODERN:
        resource = DatabaseResource(database)
        return bool(await datasette.allowed(action="execute-sql", resource=resource, actor=actor))
    visible, _ = await datasette.check_visibility(
        actor, permissions=[("execute-sql", database), ("view-database", database), "view-instance"]
    )
    return bool(visible)


def sql_href(datasette: Any, database: str, sql: str, parameters: dict[str, Any], extension: str = "") -> str:
    """A link to Datasette's SQL editor with a statement and its parameters; or to its rows: `.csv`, `.json`."""
    path = datasette.urls.database(database) + ("/-/query" if MODERN else "")
    return f"{path}{extension}?{urlencode({'sql': sql, **parameters})}"


def static_href(datasette: Any, name: str) -> str:
    """A link to a file of static/. Plugins are known by the name of their distribution."""
    if MODERN:
        return str(datasette.static(name, plugin=_DISTRIBUTION))
    return str(datasette.urls.static_plugins(_DISTRIBUTION, name))
