"""Datasette plugin: the pages of every attached ledger, links to them, and what its views and columns mean.

Hooks only; Datasette ignores those that its version does not know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from datasette import hookimpl

from datasette_agent_ledger import hooks, queries, restraint, routes, settings

Later = Callable[[], Awaitable[Any]]


@hookimpl  # type: ignore[untyped-decorator]  # Datasette ships no types
def register_routes() -> list[tuple[str, Callable[..., Any]]]:
    return routes.routes()


@hookimpl  # type: ignore[untyped-decorator]
def startup(datasette: Any) -> Later:
    async def prepare() -> None:
        await settings.prepare(datasette)
        await queries.store(datasette)

    return prepare


@hookimpl  # type: ignore[untyped-decorator]
def get_metadata(datasette: Any, key: str | None) -> dict[str, Any]:
    return settings.metadata(datasette, key)


@hookimpl  # type: ignore[untyped-decorator]
def canned_queries(datasette: Any, database: str, actor: Any) -> Later:
    return lambda: queries.canned(datasette, database, actor)


@hookimpl  # type: ignore[untyped-decorator]
def asgi_wrapper(datasette: Any) -> Callable[[restraint.App], restraint.App]:
    return lambda app: restraint.wrapped(datasette, app)


@hookimpl  # type: ignore[untyped-decorator]
def menu_links(datasette: Any, actor: Any) -> Later:
    return lambda: hooks.menu(datasette, actor)


@hookimpl  # type: ignore[untyped-decorator]
def database_actions(datasette: Any, actor: Any, database: str) -> Later:
    return lambda: hooks.actions(datasette, actor, database)


@hookimpl  # type: ignore[untyped-decorator]
def table_actions(datasette: Any, actor: Any, database: str, table: str) -> Later:
    return lambda: hooks.actions(datasette, actor, database, table)


@hookimpl  # type: ignore[untyped-decorator]
def view_actions(datasette: Any, actor: Any, database: str, view: str) -> Later:
    return lambda: hooks.actions(datasette, actor, database, view)


@hookimpl  # type: ignore[untyped-decorator]
def render_cell(row: Any, value: Any, column: str, database: str, datasette: Any) -> Any:
    return hooks.cell(datasette, database, column, value, row)
