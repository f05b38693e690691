"""Asking the views of the loop from any moment: they look from the present, which a test or a replay sets by itself."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from agent_ledger.records import Row
from agent_ledger.schema import scripts

# The views that look from a moment, with those among them that each reads.
_FROM_MOMENT: Final = {
    "budget_in_force": (),
    "exception_in_force": (),
    "directive_in_force": (),
    "rule_in_force": (),
    "spend_anomaly": (),
    "budget_spend": ("budget_in_force",),
    "budget_status": ("budget_in_force", "exception_in_force", "directive_in_force", "budget_spend"),
}


def rows(connection: sqlite3.Connection, view: str, now: str | None, **equal: Any) -> list[Row]:
    """The rows of a view of the loop as they are at `now` (None: the present), whose columns equal the given values."""
    condition = " and ".join(f'"{column}" is :{column}' for column in equal) or "true"
    found = connection.execute(f"{_before(view, now)} select * from {view} where {condition}", {**equal, "now": now})
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def present(connection: sqlite3.Connection) -> str:
    """The moment from which the views look."""
    return str(connection.execute("select now from moment").fetchone()[0])


def _before(view: str, now: str | None) -> str:
    """The views as common table expressions, which take the place of those in the file and look from `:now`."""
    if now is None:
        return ""
    bodies = scripts("views")
    told = ", ".join(f"{name} as ({bodies[name]})" for name in (*_FROM_MOMENT[view], view))
    return f"with moment as (select :now as now), {told}"
