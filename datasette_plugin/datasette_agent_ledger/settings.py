"""How Datasette shows the tables and views of a ledger: descriptions, order, facets, labels of foreign keys.

Datasette 0.65 asks a hook for it each time; 1.0 is told once, at startup. What the server's own configuration says goes
before all of it.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from datasette_agent_ledger import compat, discovery, documentation
from datasette_agent_ledger.discovery import Attached

_BY_AMOUNT = {"cost_by": "cost_usd", "all_in_by": "all_in_usd"}
_SORTED = {
    "cost_by_day": "day",
    "cost_by_month": "month",
    "all_in_by_day": "day",
    "all_in_by_month": "month",
    "reconciliation": "month",
    "restatement": "month",
    "price_history": "recorded_at",
    "budget_status": "used_share",
    "control_event": "id",
}
_FACETS = {
    "assignment": ["team", "feature"],
    "budget_status": ["scope", "state"],
    "control_event": ["phase", "scope"],
    "price_history": ["source", "provider"],
    "price_revision": ["source", "provider"],
    "reconciliation": ["provider"],
    "unallocated_charge": ["reason", "service"],
    "unpriced_calls": ["reason", "provider"],
}
"""Only where there are few rows: each facet reads them all again."""

_LABELS = {
    "delivery": "name",
    "charge": "charge_id",
    "price_revision": "model",
    "usage_key": "agent_id",
    "tool_key": "tool",
}

_prepared: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


async def prepare(datasette: Any) -> None:
    """Read what the ledgers say about themselves, at startup."""
    found = {ledger.database: _tables(ledger) for ledger in await discovery.ledgers(datasette)}
    if compat.MODERN:
        for database, tables in found.items():
            await _tell(datasette, database, tables)
    else:
        theirs = datasette.metadata("databases") or {}
        for database, tables in found.items():
            for name, settings in ((theirs.get(database) or {}).get("tables") or {}).items():
                if "sort" in settings:  # one of both
                    tables.get(name, {}).pop("sort_desc", None)
        _prepared[datasette] = {"databases": {name: {"tables": tables} for name, tables in found.items()}}


def metadata(datasette: Any, key: str | None) -> dict[str, Any]:
    """What get_metadata wants. Permissions are asked for very often, and nothing is said about them here."""
    return _prepared.get(datasette, {}) if key in (None, "databases") else {}


def _tables(ledger: Attached) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    meanings = [(name, documentation.of_view(sql)) for name, sql in ledger.views.items()]
    meanings += [(name, documentation.of_table(sql)) for name, sql in ledger.tables.items()]
    for name, meaning in meanings:
        told: dict[str, Any] = {}
        if meaning is not None:
            told = {"description": meaning.description, "columns": meaning.columns}
        if sort := _sort(name):
            told["sort_desc"] = sort
        if name in _FACETS:
            told["facets"] = _FACETS[name]
        if name in _LABELS:
            told["label_column"] = _LABELS[name]
        found[name] = told
    return found


def _sort(name: str) -> str | None:
    if name in _SORTED:
        return _SORTED[name]
    kind, _, axis = name.rpartition("_")
    return _BY_AMOUNT.get(kind) if axis != "request" else None


async def _tell(datasette: Any, database: str, tables: dict[str, dict[str, Any]]) -> None:
    """Datasette 1.0: descriptions into its internal database, everything else into its configuration.

    Both at once: set_column_metadata for each of a thousand columns would take seconds. What is said there stays.
    """
    internal = datasette.get_internal_database()
    await internal.execute_write_many(
        "insert into metadata_resources (database_name, resource_name, key, value) values (?, ?, 'description', ?)"
        " on conflict do nothing",
        [(database, name, told["description"]) for name, told in tables.items() if "description" in told],
    )
    await internal.execute_write_many(
        "insert into metadata_columns (database_name, resource_name, column_name, key, value)"
        " values (?, ?, ?, 'description', ?) on conflict do nothing",
        [
            (database, name, column, meaning)
            for name, told in tables.items()
            for column, meaning in told.get("columns", {}).items()
        ],
    )
    for name, told in tables.items():
        _configure(datasette, database, name, told)


def _configure(datasette: Any, database: str, name: str, told: dict[str, Any]) -> None:
    config = datasette.config if datasette.config is not None else {}
    datasette.config = config
    ours = {setting: told[setting] for setting in ("sort_desc", "facets", "label_column") if setting in told}
    theirs = config.setdefault("databases", {}).setdefault(database, {}).setdefault("tables", {}).setdefault(name, {})
    if "sort" in theirs:
        ours.pop("sort_desc", None)
    for setting, value in ours.items():
        theirs.setdefault(setting, value)
