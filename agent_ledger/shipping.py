"""Shipping: committed facts go to a sink in batches, in order and at least once; how far they got stands in the ledger.

A batch is planned before it is sent (`ship_cursor.sending`) and confirmed after (`shipped`), so that whoever goes on
after a kill sends the same rows in the same batch. Planning waits until the disk has it, and with it every row of the
batch: a power failure takes nothing back that a sink already has. The ledger is written to for moments only: whether a
sink lives or not, recording goes on.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from agent_ledger import archive_reading, clock, plugins, schema, ship_cursors, shipped
from agent_ledger.errors import LedgerError, SinkDown
from agent_ledger.hookspecs import Batch, Sink, Target
from agent_ledger.schema import transaction
from agent_ledger.ship_rows import Rows
from agent_ledger.shipped import SHIPPED, SNAPSHOTS, Shipped, Snapshot

_TRIES: Final = 5
_LONGEST: Final = 60.0  # seconds between two tries


@dataclass(frozen=True, slots=True)
class Progress:
    """One batch that a sink has confirmed."""

    table: str
    rows: int
    behind: int  # row ids that are still to be shipped, of all tables


def sink_for(destination: str) -> Sink:
    """Who ships there. Raises LedgerError where nobody does."""
    sinks = plugins.sinks()
    for sink in sinks:
        try:
            if sink.accepts(destination):
                return sink
        except Exception as error:  # a plugin is somebody else's code
            raise LedgerError(f"the sink {sink.name} failed: {type(error).__name__}") from error
    raise LedgerError(
        f"{without_secrets(destination, destination)} is no destination that anybody ships to: "
        f"give {', '.join(sorted(sink.form for sink in sinks))}"
    )


class Shipper:
    """Ships one ledger to one destination. A context manager; `ship` may be called again and again."""

    def __init__(self, path: Path, destination: str, *, host_name: str | None = None, anew: bool = False) -> None:
        """`anew`: ship all of it, as of another host. The ledger is not written to before the destination was reached.

        Raises LedgerError where the destination makes no sense, and NotALedger.
        """
        self._path = path
        self._destination = destination
        self._sink = sink_for(destination)
        with self._said_safely():
            self.address: Final = self._sink.address(destination)
        self._target: Target | None = None
        self._settled = False
        self._anew = anew
        with closing(schema.open_for_reading(path)) as connection:  # a mistyped name is no new ledger
            self.host = ship_cursors.host(connection, host_name, anew=anew)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the destination. Closing twice is harmless."""
        if self._target is not None:
            self._target.close()
            self._target = None

    def ship(self, advance: Callable[[Progress], None] = lambda _: None) -> int:
        """Ship everything that is committed by now. Returns how many rows. `advance` is told of every batch.

        Raises SinkDown where trying again may help, else LedgerError; either way nothing is lost, and the next call
        goes on where this one ended.
        """
        try:
            with self._ledger() as connection, self._said_safely():
                return self._ship(connection, advance)
        except BaseException:
            self.close()  # in whatever state it is
            raise

    def _ship(self, connection: sqlite3.Connection, advance: Callable[[Progress], None]) -> int:
        if self._target is None:
            self._target = self._opened(connection)
            self._settled = False
        _bring_back(connection, self.address)
        rows = 0
        for table in SHIPPED:
            while (bounds := self._planned(connection, table)) is not None:
                batch = self._batch(connection, table, *bounds)
                self._target.write(batch)
                self._confirm(connection, table.name, batch.last)
                rows += (count := len(batch.rows))
                advance(Progress(table.name, count, ship_cursors.behind(connection, self.address)))
        for snapshot in SNAPSHOTS:
            rows += self._replace(connection, snapshot, advance)
        if rows or not self._settled:
            self._target.settle()
            self._settled = True
        ship_cursors.beat(connection, self.address)
        return rows

    def _opened(self, connection: sqlite3.Connection) -> Target:
        """The destination, known to the ledger from now on: where it is only down, too."""
        try:
            target = self._sink.open(self._destination, self.host)
        except Exception as error:
            if isinstance(error, SinkDown) or not isinstance(error, LedgerError):
                self._make_known(connection)
            raise
        if not self._make_known(connection):
            target.close()
            raise SinkDown(f"somebody else has begun to ship {self._path}")
        return target

    def _make_known(self, connection: sqlite3.Connection) -> bool:
        """False: the file has got another number meanwhile, which counts."""
        is_ours = ship_cursors.adopt(connection, self.host, anew=self._anew)
        self._anew = False
        self.host = ship_cursors.host(connection, self.host.name)
        ship_cursors.register(connection, self.address)
        return is_ours

    def _planned(self, connection: sqlite3.Connection, table: Shipped) -> tuple[int, int] | None:
        """The bounds of the next batch: what lies after the first, up to the second; None: there is nothing to send."""
        told = {"sink": self.address, "source": table.name, "rows": self._sink.batch_rows}
        done, sending = connection.execute(
            "select shipped, sending from ship_cursor where sink = :sink and source = :source", told
        ).fetchone()
        if sending > done:
            return done, sending
        (last,) = connection.execute(
            f'select max("{table.cursor}") from (select "{table.cursor}" from "{table.name}"'
            f' where "{table.cursor}" > :done order by "{table.cursor}" limit :rows)',
            {**told, "done": done},
        ).fetchone()
        if last is None:
            return None
        if last >> shipped.ROW_BITS:
            raise LedgerError(f"{table.name} has the row {last}: ids from {1 << shipped.ROW_BITS} on can't be shipped")
        with transaction(connection):  # two shippers agree on the first one's plan
            connection.execute(
                "update ship_cursor set sending = :last"
                " where sink = :sink and source = :source and sending = shipped and shipped = :done",
                {**told, "done": done, "last": last},
            )
        return self._planned(connection, table)

    def _batch(self, connection: sqlite3.Connection, table: Shipped, done: int, last: int) -> Batch:
        rows = Rows(connection, table, self.host.number, done, last)
        columns = tuple(shipped.far_columns(table.name))
        lines = rows.lines if rows.has_lines() else None
        return Batch(table.name, columns, rows, done + 1, last, rows.months(), rows.alike(), lines)

    def _replace(self, connection: sqlite3.Connection, snapshot: Snapshot, advance: Callable[[Progress], None]) -> int:
        """Send a table as a whole, if it is not as it was. Returns how many rows."""
        told = {"sink": self.address, "source": snapshot.name}
        with _read(connection):  # the version and the rows of one moment
            found = connection.execute(snapshot.version).fetchone()
            version = str(found[0]) if found else ""
            (sent,) = connection.execute(
                "select version from ship_cursor where sink = :sink and source = :source", told
            ).fetchone()
            if version == (sent or ""):
                return 0
            rows = connection.execute(shipped.selection(snapshot), {"number": self.host.number}).fetchall()
        assert self._target is not None
        name = snapshot.far_name or snapshot.name
        self._target.replace(Batch(name, tuple(shipped.far_columns(snapshot.name)), rows, 0, len(rows)))
        with transaction(connection):
            connection.execute(
                "update ship_cursor set version = :version, shipped_at = :now where sink = :sink and source = :source",
                {**told, "version": version, "now": clock.now()},
            )
        advance(Progress(snapshot.name, len(rows), ship_cursors.behind(connection, self.address)))
        return len(rows)

    def _confirm(self, connection: sqlite3.Connection, source: str, last: int) -> None:
        with transaction(connection):
            connection.execute(
                "update ship_cursor set shipped = max(shipped, :last), sending = max(sending, :last), shipped_at = :now"
                " where sink = :sink and source = :source",
                {"sink": self.address, "source": source, "last": last, "now": clock.now()},
            )

    @contextmanager
    def _ledger(self) -> Iterator[sqlite3.Connection]:
        """The ledger for a while. What it commits is on the disk, and so is all that was committed before."""
        connection = schema.open_for_writing(self._path, synchronous="full")
        try:
            yield connection
        except sqlite3.Error as error:
            raise LedgerError(f"{self._path} can't be used: {error}") from error
        finally:
            connection.close()

    @contextmanager
    def _said_safely(self) -> Iterator[None]:
        """What sinks raise, as errors that tell no secret."""
        try:
            yield
        except (LedgerError, sqlite3.Error) as error:
            text = without_secrets(str(error), self._destination)
            if text == str(error):
                raise
            raise (SinkDown if isinstance(error, SinkDown) else LedgerError)(text) from None
        except Exception as error:  # a sink may be somebody else's code
            text = without_secrets(f"{type(error).__name__}: {error}", self._destination)
            raise SinkDown(f"the sink {self._sink.name} failed ({text})") from None


def keep_shipping(
    shipper: Shipper,
    *,
    every: float | None,
    say: Callable[[str], None],
    advance: Callable[[Progress], None] = lambda _: None,
) -> int:
    """Ship, and try again where a sink is down, waiting longer each time. Returns how many rows.

    `every` None: ship what there is, and raise SinkDown after some tries in vain. Else go on for ever, looking for new
    rows every so many seconds. `say` is told, once for each failure, what is the matter, and when it is over.
    """
    rows, failures = 0, 0
    while True:
        try:
            rows += shipper.ship(advance)
        except LedgerError as error:
            if not isinstance(error, SinkDown) and not isinstance(error.__cause__, sqlite3.OperationalError):
                raise
            failures += 1
            if every is None and failures == _TRIES:
                raise
            wait = min(2.0 ** (failures - 1), _LONGEST)
            say(f"{error}; nothing is lost, trying again in {wait:.0f} s")
            time.sleep(wait)
            continue
        if failures:
            say(f"{shipper.address} takes rows again")
            failures = 0
        if every is None:
            return rows
        time.sleep(every)


def without_secrets(text: str, destination: str) -> str:
    """`text` without the password of a destination."""
    try:
        found = urlsplit(destination)
        hidden = {found.password, unquote(found.password)} if found.password else set()
    except ValueError:
        hidden = set()
    parameters = (part.partition("=") for part in destination.partition("?")[2].split("&"))
    hidden |= {value for name, _, value in parameters if "password" in name.lower()}
    for secret in sorted(hidden - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _bring_back(connection: sqlite3.Connection, sink: str) -> None:
    """Let the connection see archived rows too, where a sink has not got them. Raises Unreadable."""
    missing = """
      select exists (
        select 1 from archive join ship_cursor on ship_cursor.sink = ? and ship_cursor.source = archive.source
        where archive.last_id > ship_cursor.shipped
      )
    """
    if connection.execute(missing, [sink]).fetchone()[0]:
        archive_reading.recall(connection)


@contextmanager
def _read(connection: sqlite3.Connection) -> Iterator[None]:
    """What is read is of one moment."""
    connection.execute("begin")
    try:
        yield
    finally:
        connection.execute("commit")
