"""Datasette plugin: a link from the menu of each database that is a ledger to its canonical views."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from datasette import hookimpl


@hookimpl  # type: ignore[untyped-decorator]  # Datasette ships no types
def database_actions(datasette: Any, database: str) -> Callable[[], Awaitable[list[dict[str, str]]]]:
    """Offer "Which agent spent the money?" on the page of a ledger."""

    async def links() -> list[dict[str, str]]:
        if "cost_by_agent" not in await datasette.get_database(database).view_names():
            return []
        href = f"{datasette.urls.table(database, 'cost_by_agent')}?_sort_desc=cost_usd"
        return [{"href": href, "label": "Which agent spent the money?"}]

    return links
