"""Where things are: the pages of a ledger, and the rows behind a number."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from datasette.utils import tilde_encode

AXES = {"agent": "agent_id", "team": "team", "feature": "feature", "customer": "customer_id", "model": "model"}
"""What has a page of its own, and the column that names it."""

LINKED = {column: axis for axis, column in AXES.items()} | {"request_id": "request"}
"""The columns whose cells lead to a page."""

PAGES = ("budgets", "reconciliation", "prices", "quality")

UNATTRIBUTED = "(unattributed)"

REST = ("(unallocated)",)  # names no row of the ledger


def home(datasette: Any, database: str, **query: str | None) -> str:
    """The overview."""
    return _with(f"{datasette.urls.database(database)}/-/ledger", query)


def page(datasette: Any, database: str, name: str) -> str:
    """One of PAGES."""
    return f"{home(datasette, database)}/{name}"


def of(datasette: Any, database: str, axis: str, key: str, **query: str | None) -> str:
    """The page of one agent, team, feature, customer, model or request.

    The key is part of the path, tilde-encoded as Datasette's own names are, so that any text can be one.
    """
    return _with(f"{home(datasette, database)}/{axis}/{tilde_encode(key)}", query)


def rows(datasette: Any, database: str, table: str, **filters: str | None) -> str:
    """Datasette's own page of a table or view, filtered. Counting and suggesting facets would read all of it."""
    return _with(datasette.urls.table(database, table), {**filters, "_nocount": "1", "_nosuggest": "1"})


def having(axis: str, key: str | None) -> dict[str, str | None]:
    """The filter of `rows` for the calls of a key; None: of all keys."""
    if key is None:
        return {}
    column = AXES[axis]
    return {f"{column}__isnull": "1"} if key == UNATTRIBUTED else {f"{column}__exact": key}


def calls(datasette: Any, database: str, axis: str, key: str | None, bounds: dict[str, str], **filters: str) -> str:
    """The calls of a period (bounds of picking.Period), of one key or of all (None)."""
    within = {"ts__gte": bounds["since"], "ts__lt": bounds["until"]}
    return rows(datasette, database, "call_cost", **within, **having(axis, key), **filters, _sort_desc="cost_usd")


def _with(path: str, query: dict[str, str | None]) -> str:
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path
