"""What the plugin adds to Datasette's own pages: links, cells that lead to a page, and queries."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from datasette_agent_ledger import discovery, links, permissions

Link = dict[str, str]


async def menu(datasette: Any, actor: Any) -> list[Link]:
    """A link to each ledger that the actor may see, or to the teams of the actor."""
    found = []
    for ledger in await discovery.ledgers(datasette):
        database = ledger.database
        seen = await permissions.seen(datasette, actor, database)
        if seen.everything and await permissions.any_figure(datasette, actor, database):
            found.append({"href": links.home(datasette, database), "label": f"Spend in {database}"})
        for team in seen.teams:
            found.append({"href": links.of(datasette, database, "team", team), "label": f"Spend of {team}"})
    return found


async def actions(datasette: Any, actor: Any, database: str, table: str | None = None) -> list[Link]:
    """Links on the page of a ledger, or of one of its tables or views."""
    if await discovery.ledger(datasette, database) is None:
        return []
    if not await permissions.any_figure(datasette, actor, database):
        return []
    by = next((axis for axis in links.AXES if table in (f"cost_by_{axis}", f"all_in_by_{axis}")), None)
    all_in = "all" if table is not None and table.startswith("all_in_") else None
    href = links.home(datasette, database, by=by, cost=all_in)
    found = [{"href": href, "label": "Which agent spent the money?" if by is None else f"Which {by} spent the money?"}]
    if table is None:
        named = [(name.capitalize(), links.page(datasette, database, name)) for name in links.PAGES]
        found += [{"href": href, "label": label} for label, href in named]
    return found


def cell(datasette: Any, database: str, column: str, value: Any, row: Any) -> Markup | None:
    """A cell that names an agent, a team, a request …, as a link to its page; None: it does not."""
    if not isinstance(value, str) or not value or value in links.REST:
        return None
    axis = links.LINKED.get(column)
    if column == "key":  # of a budget, a restatement: which axis it is of stands beside it
        named = {name: row[name] for name in ("scope", "axis") if name in row.keys()}  # noqa: SIM118
        axis = next((name for name in named.values() if name in links.AXES), None)
    if axis is None or not discovery.is_known(datasette, database):
        return None
    limit = datasette.setting("truncate_cells_html")
    text = value if not limit or len(value) <= limit else f"{value[: limit - 1]}…"
    return Markup('<a href="{}">{}</a>').format(links.of(datasette, database, axis, value), text)
