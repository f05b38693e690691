"""The canonical views over a folder of Parquet files that ledgers were shipped to, for a session of DuckDB."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agent_ledger import dialects

_LARGE = frozenset({"ledger", "audit"})  # stay in the files; the others are read once, as they are now
_DERIVED = frozenset({"superseded_call", "superseded_tool_call"})


def statements(folder: Path, wanted: Iterable[str] | None = None) -> dict[str, str]:
    """What makes the views for a session, by their names: the tables, from their files, then the canonical views.
    `wanted`: only those, and what they read.

    Raises LedgerError without sqlglot.
    """
    return {
        **{table: _table(folder, table) for table in sorted(dialects.tables(wanted))},
        **{
            name: f"create or replace temp {'table' if name in _DERIVED else 'view'} {name} as\n{body};"
            for name, body in dialects.views("duckdb", wanted).items()
        },
    }


def _table(folder: Path, table: str) -> str:
    kind = "view" if table in _LARGE else "table"
    files = str(folder.absolute() / table / "**" / "*.parquet").replace("'", "''")
    named = ", ".join(f'"{name}"' for name in dialects.columns(table))
    return (
        f"create or replace temp {kind} {table} as\nselect {named}\nfrom read_parquet('{files}', union_by_name = true);"
    )
