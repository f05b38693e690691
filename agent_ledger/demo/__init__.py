"""The demo ledger: eleven weeks of a company that does not exist, at prices that do. The same rows on every machine.

No clock and no installed price list is read: every figure follows from the tables in this package.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from itertools import islice
from operator import itemgetter
from pathlib import Path

from agent_ledger import compacting, pricebook, schema
from agent_ledger.control.loop import Loop
from agent_ledger.demo import bills, company, governance, incidents, prices, traffic
from agent_ledger.demo.traffic import Fields, Story
from agent_ledger.errors import LedgerError
from agent_ledger.recording import CALLS, TOOL_CALLS, Table

_CHUNK = 1_000
_STEP = 50_000  # rows; said, because steps are else as long as the machine is fast


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
                with governance.watching(unfinished) as loop:
                    _fill(connection, loop, advance)
                _finish(connection)
            os.replace(unfinished, path)
    except (OSError, sqlite3.OperationalError) as error:
        raise LedgerError(f"{path} can't be written ({error}): check the folder's rights and free space") from error


def _fill(connection: sqlite3.Connection, loop: Loop, advance: Callable[[int], None]) -> None:
    story = told()
    with schema.transaction(connection):
        _assign(connection)
        for recorded_at, rows in prices.recordings():
            pricebook.store(connection, rows, recorded_at)
        _price(connection, story.calls)
        governance.govern(connection)
    for moment in governance.TICKS:
        with schema.transaction(connection):
            governance.obey(connection, story.calls)
            for table, records in ((CALLS, story.calls), (TOOL_CALLS, story.tool_calls)):
                _insert(connection, table, _until(records, moment), advance)
        compacting.compact(connection, rows=_STEP)
        if moment < company.END:
            loop.tick(now=moment)
    with schema.transaction(connection):
        bills.deliver(connection)
    compacting.compact(connection, rows=_STEP)  # what the tool calls take of the bills
    loop.tick(now=company.END)
    governance.stand_still(connection)


def _finish(connection: sqlite3.Connection) -> None:
    # One file that opens everywhere, from a read-only folder too.
    connection.execute("pragma journal_mode = delete")
    connection.execute("vacuum")


def _price(connection: sqlite3.Connection, calls: Iterable[Fields]) -> None:
    """Work out the prices of all models beforehand, because the loop asks for the cost of calls as they come."""
    keys = ("model", "provider", "service_tier", "region")
    connection.executemany(
        "insert or ignore into rate_key (model, provider, service_tier, region) values (?, ?, ?, ?)",
        sorted({tuple(str(call.get(name) or "") for name in keys) for call in calls} | {governance.SMALLER}),
    )
    pricebook.rebuild(connection, pricebook.keys(connection), company.WRITTEN_AT)


def _until(records: list[Fields], moment: str) -> list[Fields]:
    """Take the records before a moment out of the list."""
    number = bisect_left(records, moment, key=itemgetter("ts"))
    taken, records[:number] = records[:number], []
    return taken


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
