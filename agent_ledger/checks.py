"""Is the ledger sound, and are its figures complete? Each check in sql/checks returns the offending rows."""

from __future__ import annotations

import sqlite3

from agent_ledger.records import Row
from agent_ledger.schema import scripts


def run(connection: sqlite3.Connection) -> list[Row]:
    """What is wrong, as rows of check, subject and problem; none: nothing is."""
    found = [
        {"check": "integrity", "subject": "file", "problem": row[0]}
        for row in connection.execute("pragma integrity_check")
        if row[0] != "ok"
    ]
    for table, row_id, parent, _ in connection.execute("pragma foreign_key_check").fetchall():
        found.append(
            {"check": "integrity", "subject": f"{table} {row_id}", "problem": f"its row of {parent} is missing"}
        )
    for check, sql in scripts("checks").items():
        found += [{"check": check, "subject": row[0], "problem": row[1]} for row in connection.execute(sql)]
    return found
