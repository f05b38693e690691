"""The addresses of the pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from datasette import Forbidden, NotFound, Response
from datasette.utils import tilde_decode

from datasette_agent_ledger import compat, discovery, picking
from datasette_agent_ledger.page import Page
from datasette_agent_ledger.pages import overview

_HOME = r"^/(?P<database>[^/]+)/-/ledger"

Shown = Callable[[Page], Awaitable[Response]]


def routes() -> list[tuple[str, Callable[..., Any]]]:
    """What register_routes wants."""
    return [(rf"{_HOME}/?$", _page(overview.overview))]


def _page(show: Shown) -> Callable[..., Any]:
    async def view(datasette: Any, request: Any) -> Response:
        page = await _opened(datasette, request)
        try:
            return await show(page)
        except picking.NotUnderstood as error:
            return await page.render("problem.html", {"title": page.database, "problem": str(error)}, status=400)

    return view


async def _opened(datasette: Any, request: Any) -> Page:
    database = tilde_decode(request.url_vars["database"])
    ledger = await discovery.ledger(datasette, database)
    if ledger is None:
        raise NotFound(f"{database} is not a ledger")
    if not await compat.can_view(datasette, request.actor, database):
        raise Forbidden(f"you may not see {database}")
    return Page(datasette, request, ledger)
