"""One runner of the loop at a time: a lease in the file, which a runner that was killed loses by itself."""

from __future__ import annotations

import os
import socket
import sqlite3
from datetime import datetime, timedelta
from typing import Final

from agent_ledger import clock

LEASE_S: Final = 120.0  # longer than a tick takes; extended by each


def new_holder() -> str:
    """A name that no other runner has."""
    return f"{socket.gethostname()}:{os.getpid()}:{clock.sortable_id()[-8:]}"


def take(connection: sqlite3.Connection, holder: str, now: str, *, lease_s: float = LEASE_S) -> str | None:
    """Take or extend the lease, within a transaction. Returns None, or who has it.

    A lease that ends later than one that was taken right now would is from before the clock was moved back, and counts
    as over.
    """
    until = clock.timestamp(datetime.fromisoformat(now) + timedelta(seconds=lease_s))
    taken = connection.execute(
        "insert into loop_lease (id, holder, taken_at, valid_until) values (1, :holder, :now, :until)"
        " on conflict (id) do update set holder = :holder, valid_until = :until,"
        "   taken_at = iif(holder = :holder, taken_at, :now)"
        " where holder = :holder or valid_until <= :now or valid_until > :until",
        {"holder": holder, "now": now, "until": until},
    ).rowcount
    if taken:
        return None
    return str(connection.execute("select holder from loop_lease").fetchone()[0])


def give_back(connection: sqlite3.Connection, holder: str) -> None:
    """Let another runner take over at once. Within a transaction."""
    connection.execute("delete from loop_lease where holder = ?", [holder])
