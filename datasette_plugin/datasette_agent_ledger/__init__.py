"""Datasette plugin: the pages of every attached ledger, links to them, and what its views and columns mean."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from datasette import hookimpl

from datasette_agent_ledger import compat, discovery, links, routes

Links = Callable[[], Awaitable[list[dict[str, str]]]]


@hookimpl  # type: ignore[untyped-decorator]  # Datasette ships no types
def register_routes() -> list[tuple[str, Callable[..., Any]]]:
    return routes.routes()


@hookimpl  # type: ignore[untyped-decorator]
def database_actions(datasette: Any, actor: Any, database: str) -> Links:
    """Offer the overview on the page of a ledger."""

    async def found() -> list[dict[str, str]]:
        if await discovery.ledger(datasette, database) is None:
            return []
        if not await compat.can_view(datasette, actor, database):
            return []
        return [{"href": links.home(datasette, database), "label": "Which agent spent the money?"}]

    return found
