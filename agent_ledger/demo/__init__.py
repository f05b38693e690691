"""The demo ledger: eleven weeks of a company that does not exist, at prices that do. The same rows on every machine.

No clock and no installed price list is read: every figure follows from the tables in this package.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from itertools import islice
from operator import itemgetter
from pathlib import Path

from agent_ledger import compacting, pricebook, schema
from agent_ledger.demo import bills, company, incidents, prices, traffic
from agent_ledger.demo.traffic import Fields, Story
from agent_ledger.errors import LedgerError
from agent_ledger.recording import CALLS, TOOL_CALLS, Table

_CHUNK = 1_000


def build(path: Path, advance: Callable[[int], None] = lambda _: None) -> None:
    """Write the demo ledger to `path`, a file that does not exist yet; it appears when it is complete.

    Calls `advance` with the number of rows just written. Raises LedgerError.
    """
    if path.exists():
        raise LedgerError(f"{path} exists already: give the path of a new file, or remove it first")
    if not path.parent.is_dir():
        raise LedgerError(f"there is no folder {path.parent}: make it first")
    try:
        with tempfile.TemporaryDirectory(prefix=".agent-ledger-demo-", dir=path.parent) as folder:
            unfinished = Path(folder) / "demo.db"
            with closing(schema.open_for_writing(unfinished, synchronous="off")) as connection:
                _fill(connection, advance)
            os.replace(unfinished, path)
    except (OSError, sqlite3.OperationalError) as error:
        raise LedgerError(f"{path} can't be written ({error}): check the folder's rights and free space") from error


def _fill(connection: sqlite3.Connection, advance: Callable[[int], None]) -> None:
    story = told()
    connection.execute("begin immediate")
    _assign(connection)
    for recorded_at, rows in prices.recordings():
        pricebook.store(connection, rows, recorded_at)
    _insert(connection, CALLS, story.calls, advance)
    _insert(connection, TOOL_CALLS, story.tool_calls, advance)
    pricebook.rebuild(connection, pricebook.keys(connection), company.WRITTEN_AT)
    bills.deliver(connection)
    connection.execute("commit")
    compacting.compact(connection)
    # One file that opens everywhere, from a read-only folder too.
    connection.execute("pragma journal_mode = delete")
    connection.execute("vacuum")


def told() -> Story:
    """The whole story, in the order in which it happened."""
    story = Story()
    for agent in company.AGENTS:
        traffic.work(agent, story)
    incidents.happen(story)
    return Story(calls=_in_order(story.calls), tool_calls=_in_order(story.tool_calls))


def _in_order(records: Iterable[Fields]) -> list[Fields]:
    # Sorting is stable, so what happened at the same time keeps its order.
    return sorted((record for record in records if record["ts"] < company.END), key=itemgetter("ts"))


def _assign(connection: sqlite3.Connection) -> None:
    connection.executemany(
        "insert into agent_assignment (agent_id, valid_from, team, feature, owner, recorded_at) "
        "values (?, ?, ?, ?, ?, ?)",
        company.assignments(),
    )


def _insert(
    connection: sqlite3.Connection, table: Table, records: Sequence[Fields], advance: Callable[[int], None]
) -> None:
    rows = map(table.row, records)
    while chunk := list(islice(rows, _CHUNK)):
        connection.executemany(table.insert, chunk)
        advance(len(chunk))
