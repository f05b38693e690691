"""The canonical views on other engines: PostgreSQL, ClickHouse and DuckDB.

There is one definition of each view, in sql/views. Here it is said again in the dialect of an engine, by rules: without
rollups (rollups.py), with truth apart from numbers (truth.py), with names and types (typed.py), and in the words of the
engine (rules.py, engines.py). What an engine can't say by rule stands in sql/far, for all of them.

The tables that the views read have the names and columns of the ledger's (see shipped.py). Text there compares by its
bytes, and timestamps stay text. A test requires the same figures from every view on all engines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from agent_ledger import schema
from agent_ledger.errors import LedgerError

DIALECTS: Final = ("clickhouse", "duckdb", "postgres")

_LOOP: Final = "budgets are held where the calls are made"

LEFT_OUT: Final = {
    "rollup_cost": "there are no rollups",
    "rollup_place": "there are no rollups",
    "usage_place": "there are no rollups",
    "tool_rollup_cost": "there are no rollups",
    "tool_rollup_place": "there are no rollups",
    "tool_place": "there are no rollups",
    "forgotten_moment": "there are no rollups",
    "restatement": "a month is closed in one ledger: what differs since is asked there",
    "restatement_cause": "a month is closed in one ledger: what differs since is asked there",
    "archived": "files of one host",
    "allocation_state": "bills are allocated in the ledger that they are imported into",
    **dict.fromkeys(
        (
            *(
                "budget_in_force",
                "budget_spend",
                "budget_status",
                "directive_in_force",
                "exception_in_force",
                "hard_cap",
            ),
            *("moment", "rule_in_force", "spend_anomaly"),
        ),
        _LOOP,
    ),
}
"""The views that the engines do not have, and why."""


def views(dialect: str, wanted: Iterable[str] | None = None) -> dict[str, str]:
    """The SELECT of each canonical view in `dialect`, one of DIALECTS; each reads those before it. `wanted`: only of
    those, and of what they read.

    Raises LedgerError without sqlglot.
    """
    translation = _translation()
    return {name: translation.view(dialect, name) for name in translation.in_order(_there(wanted))}


def tables(wanted: Iterable[str] | None = None) -> frozenset[str]:
    """The tables that the views read there, by the names of the ledger's; `wanted`: those among it, and what the views
    among it read. Raises LedgerError without sqlglot."""
    return frozenset(_translation().tables(_there(wanted)))


def _there(wanted: Iterable[str] | None) -> frozenset[str]:
    return (frozenset(schema.scripts("views")) if wanted is None else frozenset(wanted)) - frozenset(LEFT_OUT)


def statement(dialect: str, sql: str, values: Sequence[object] | Mapping[str, object] = ()) -> str | None:
    """A SELECT over views and tables, written for SQLite, in `dialect`, with `values` in place of its parameters.

    None: it asks for rows of rollups only, and there are none. Raises LedgerError without sqlglot.
    """
    said: str | None = _translation().statement(dialect, sql, values)
    return said


def columns(name: str) -> dict[str, str]:
    """The columns of a view or table, and whether each is `text`, `integer` or `real`; empty: there is none."""
    return dict(_translation().columns().get(name, {}))


def _translation() -> Any:
    try:
        return import_module("agent_ledger.dialects.translation")
    except ImportError:
        raise LedgerError("other engines need sqlglot: pip install 'agent-cost-ledger[views]'") from None
