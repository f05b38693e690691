"""The addresses of the pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from datasette import Forbidden, NotFound, Response
from datasette.utils import tilde_decode

from datasette_agent_ledger import discovery, links, permissions, picking
from datasette_agent_ledger.page import Page
from datasette_agent_ledger.pages import key, overview, request, sections

_HOME = r"^/(?P<database>[^/]+)/-/ledger"

Shown = Callable[..., Awaitable[Response]]


def routes() -> list[tuple[str, Callable[..., Any]]]:
    """What register_routes wants."""
    axes = "|".join(links.AXES)
    named = {"budgets": sections.budgets, "reconciliation": sections.reconciliation}
    named |= {"prices": sections.prices, "quality": sections.quality}
    return [
        (rf"{_HOME}/?$", _page(overview.overview)),
        *((rf"{_HOME}/{name}$", _page(shown)) for name, shown in named.items()),
        (rf"{_HOME}/request/(?P<key>[^/]+)$", _page(request.request)),
        (rf"{_HOME}/(?P<axis>{axes})/(?P<key>[^/]+)$", _page(key.key)),
    ]


def _page(show: Shown) -> Callable[..., Any]:
    async def view(datasette: Any, request: Any) -> Response:
        named = [tilde_decode(request.url_vars[part]) for part in ("axis", "key") if part in request.url_vars]
        page = await _opened(datasette, request, named)
        try:
            return await show(page, *named)
        except picking.NotUnderstood as error:
            return await page.render("problem.html", {"title": page.database, "problem": str(error)}, status=400)

    return view


async def _opened(datasette: Any, request: Any, named: list[str]) -> Page:
    database = tilde_decode(request.url_vars["database"])
    ledger = await discovery.ledger(datasette, database)
    if ledger is None:
        raise NotFound(f"{database} is not a ledger")
    seen = await permissions.seen(datasette, request.actor, database)
    if seen.everything:
        return Page(datasette, request, ledger)
    if len(named) == 2 and named[0] == "team" and named[1] in seen.teams:
        return Page(datasette, request, ledger, of_team=named[1])
    raise Forbidden(f"you may not see {database}")
