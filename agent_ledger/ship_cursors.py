"""How far sinks have got: the rows of `ship_cursor`, and what a check and the archive make of them."""

from __future__ import annotations

import secrets
import socket
import sqlite3
from datetime import datetime, timedelta
from typing import Final

from agent_ledger import clock, shipped
from agent_ledger.hookspecs import Host
from agent_ledger.records import Row
from agent_ledger.schema import transaction
from agent_ledger.shipped import SHIPPED, TABLES, Shipped, Snapshot

_HEARTBEAT: Final = timedelta(minutes=1)
_LATE: Final = timedelta(hours=1)


def lag(connection: sqlite3.Connection) -> list[Row]:
    """How far each sink has each table, as rows of sink, source, shipped, behind, shipped_at.

    `behind` counts row ids that are still to be shipped; of a table that is sent as a whole, 1 or 0. `shipped_at` is
    when the sink last confirmed something or had nothing to take; None: never.
    """
    found = []
    for sink in [row[0] for row in connection.execute("select distinct sink from ship_cursor order by 1")]:
        for table in TABLES:
            row = connection.execute(
                "select shipped, version, shipped_at from ship_cursor where sink = ? and source = ?", [sink, table.name]
            ).fetchone()
            done, version, at = row if row is not None else (0, None, None)
            if isinstance(table, Snapshot):
                state = connection.execute(table.version).fetchone()
                late = int((str(state[0]) if state else "") != (version or ""))
            else:
                late = max(0, _last(connection, table) - done)
            found.append({"sink": sink, "source": table.name, "shipped": done, "behind": late, "shipped_at": at})
    return found


def behind(connection: sqlite3.Connection, sink: str) -> int:
    """How many row ids a sink has not got yet."""
    done = dict(connection.execute("select source, shipped from ship_cursor where sink = ?", [sink]).fetchall())
    return sum(max(0, _last(connection, table) - done.get(table.name, 0)) for table in SHIPPED)


def problems(connection: sqlite3.Connection) -> list[Row]:
    """What a check says about sinks: those that have been behind for more than an hour."""
    since = clock.timestamp(datetime.fromisoformat(clock.now()) - _LATE)
    found = []
    rows = lag(connection)
    for sink in dict.fromkeys(row["sink"] for row in rows):
        late = [row for row in rows if row["sink"] == sink and row["behind"] and (row["shipped_at"] or "") < since]
        if late:
            last = max((row["shipped_at"] or "" for row in late), default="") or "never"
            count = sum(row["behind"] for row in late)
            problem = f"it is {count:,} rows behind, and last confirmed something: {last}; agent-ledger ship goes on"
            found.append({"check": "shipping", "subject": sink, "problem": problem})
    return found


def forget(connection: sqlite3.Connection, sink: str) -> bool:
    """Drop the cursors of a sink: nothing waits for it any more. Returns False where it is not known."""
    with transaction(connection):
        return connection.execute("delete from ship_cursor where sink = ?", [sink]).rowcount > 0


def host(connection: sqlite3.Connection, name: str | None, *, anew: bool = False) -> Host:
    """Whose rows this file's are; a new number, which nobody knows until it is adopted, where the file has none or
    begins anew. `name` None: that of the machine."""
    found = connection.execute("select value from ledger_meta where key = 'host'").fetchone()
    drawn = 1 + secrets.randbelow((1 << shipped.HOST_BITS) - 1)
    return Host(drawn if anew or found is None else int(found[0]), name or socket.gethostname())


def adopt(connection: sqlite3.Connection, host: Host, *, anew: bool = False) -> bool:
    """Keep the number of a host in the file, which it has then for good; False: it has another one meanwhile.

    `anew`: in place of the one that it has, and ship all of it again: what a copy, or a file from a backup, has to do.
    """
    with transaction(connection):
        if anew:
            connection.execute("delete from ledger_meta where key = 'host'")
            connection.execute("delete from ship_cursor")
        connection.execute(
            "insert into ledger_meta (key, value) values ('host', ?) on conflict (key) do nothing", [str(host.number)]
        )
        (number,) = connection.execute("select value from ledger_meta where key = 'host'").fetchone()
    return int(number) == host.number


def register(connection: sqlite3.Connection, sink: str) -> None:
    """From now on nothing is archived that the sink has not got."""
    with transaction(connection):
        connection.executemany(
            "insert into ship_cursor (sink, source) values (?, ?) on conflict (sink, source) do nothing",
            [(sink, table.name) for table in TABLES],
        )


def beat(connection: sqlite3.Connection, sink: str) -> None:
    """Note that there was nothing to ship, but not each time."""
    now = clock.now()
    old = clock.timestamp(datetime.fromisoformat(now) - _HEARTBEAT)
    told = {"sink": sink, "now": now, "old": old}
    idle = "sink = :sink and coalesce(shipped_at, '') < :old"
    if connection.execute(f"select exists (select 1 from ship_cursor where {idle})", told).fetchone()[0]:
        with transaction(connection):
            connection.execute(f"update ship_cursor set shipped_at = :now where {idle}", told)


def _last(connection: sqlite3.Connection, table: Shipped) -> int:
    """The last row of a table, its archive included."""
    (last,) = connection.execute(
        f'select max(coalesce((select max("{table.cursor}") from main."{table.name}"), 0),'
        " coalesce((select max(last_id) from archive where source = ?), 0))",
        [table.name],
    ).fetchone()
    return int(last)
