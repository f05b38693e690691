"""A connection that writes to a ledger file: shared by the threads of a process, made anew after a fork."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

from agent_ledger import archive_identity, compacting, schema
from agent_ledger.errors import LedgerError
from agent_ledger.recording import CALLS, REFUSED, TOOL_CALLS, Table

_log = logging.getLogger("agent_ledger")
_FORK_WAIT_S = 1.0  # for other threads to finish what they write
_inherited: list[sqlite3.Connection] = []  # kept, so that they are not closed when they are collected


class Writer:
    """One SQLite connection behind one lock. `timeout` is how many seconds it waits for other writers
    (None: half a minute).

    Raises NotALedger where the file is something else.
    """

    def __init__(self, path: Path, *, synchronous: str, timeout: float | None = None) -> None:
        self.path = path
        self._synchronous = synchronous
        self._timeout = timeout
        self._lock = threading.RLock()
        self._forked = False
        self._compact_at = {
            table.name: 0 for table in (CALLS, TOOL_CALLS)
        }  # the row after which it may be time to compact
        self._connection: sqlite3.Connection | None = self._opened()
        self._file = self._identity()
        self.path = path.absolute()  # where the program goes does not matter any more
        _writers.add(self)

    def _opened(self) -> sqlite3.Connection:
        return schema.open_for_writing(self.path, synchronous=self._synchronous, timeout=self._timeout)

    def _identity(self) -> tuple[int, int] | None:
        """Which file it is, whatever it is called; None: there is none, or nothing in it."""
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found.st_size else None

    def after_fork(self, *, idle: bool) -> None:
        """In the child: start anew. What it inherited has no locks on the file, though SQLite believes it has, for new
        connections too, and the parent would remove the WAL under them: so it must be closed, which is safe while no
        statement runs on it (`idle`)."""
        self._lock = threading.RLock()
        if self._connection is not None:
            if idle and not self._connection.in_transaction:
                self._connection.close()
            else:
                _inherited.append(self._connection)
            self._connection, self._forked = None, True

    def close(self) -> None:
        """Closing twice is harmless."""
        with self._lock:
            self._forked = False
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def lock(self) -> threading.RLock:
        """The lock of this process."""
        return self._lock

    def live(self) -> sqlite3.Connection:
        """The connection; hold the lock while using it. Raises LedgerError where it is closed, or where the file was
        removed, emptied or replaced meanwhile: SQLite would go on writing to what nobody can open any more."""
        if self._connection is None and not self._forked:
            raise LedgerError(f"{self.path} is closed: open the ledger again")
        if self._file != self._identity():
            raise LedgerError(f"{self.path} was removed, emptied or replaced: open the ledger again")
        if self._connection is None:
            self._connection = self._opened()
            self._forked = False
        return self._connection

    def insert(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> int:
        """Store rows, all or none. Returns how many are new: neither in the file nor in its archive.

        Raises LedgerError where the file can't be written, and one of REFUSED where a row may not enter.
        """
        try:
            return self._insert(table, rows)
        except REFUSED as error:
            if not archive_identity.is_asked(error):
                raise
        with self.transaction() as connection:
            return archive_identity.insert(connection, table, rows)

    def _insert(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> int:
        if len(rows) != 1:
            with self.transaction() as connection:
                added = connection.executemany(table.insert, rows).rowcount
            self.keep_up()
            return added
        with self._lock:
            connection = self._idle()
            try:
                done = connection.execute(table.insert, rows[0])  # a transaction of its own
            except sqlite3.Error as error:
                raise self._explained(error) from error
            if (done.lastrowid or 0) > self._compact_at[table.name]:
                self.keep_up(steps=1)
            return done.rowcount

    def keep_up(self, *, steps: int | None = None) -> None:
        """Compact the ledger where its uncompacted rows have become many, at most so many `steps`. Never raises:
        what is recorded is recorded, and the views are exact all the same."""
        try:
            with self._lock:
                for name, (rolled, recorded) in compacting.keep_up(self._idle(), steps).items():
                    self._compact_at[name] = max(rolled + compacting.SLACK, recorded + compacting.PAUSE)
        except Exception:
            _log.debug("%s could not be compacted now", self.path, exc_info=True)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Raises LedgerError where the file can't be written."""
        with self._lock:
            connection = self._idle()
            try:
                connection.execute("begin immediate")
                yield connection
                connection.execute("commit")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    if connection.in_transaction:
                        connection.execute("rollback")
                if isinstance(error, sqlite3.Error):
                    raise self._explained(error) from error
                raise

    def _idle(self) -> sqlite3.Connection:
        connection = self.live()
        if connection.in_transaction:  # of this very thread: what runs inside of it is no part of it
            raise LedgerError(f"{self.path} can't be written: this thread is in the middle of writing to it")
        return connection

    def _explained(self, error: sqlite3.Error) -> Exception:
        return error if isinstance(error, REFUSED) else LedgerError(f"{self.path} can't be written: {error}")


# -- forks ------------------------------------------------------------------------------------------------------------

_writers: WeakSet[Writer] = WeakSet()
_forking = threading.local()


def _before_fork() -> None:
    _forking.idle = [writer for writer in list(_writers) if writer.lock().acquire(timeout=_FORK_WAIT_S)]


def _after_fork_in_parent() -> None:
    for writer in _forking.idle:
        writer.lock().release()


def _after_fork_in_child() -> None:
    for writer in list(_writers):
        writer.after_fork(idle=writer in _forking.idle)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
