"""Recording that never gets in the agent's way: it does not raise, and it waits a quarter of a second at most."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any
from weakref import WeakSet

from agent_ledger import spool
from agent_ledger.connection import Writer
from agent_ledger.errors import InvalidRecord, LedgerError
from agent_ledger.recording import REFUSED, Table

_log = logging.getLogger("agent_ledger")
_WAIT_S = 0.25  # for other writers
_PAUSE_S = 1.0  # after a failure, rows go straight to the spool for so long; twice as long after the next one, …
_LONGEST_PAUSE_S = 30.0
_IN_MEMORY = 100_000  # rows, where nothing can be written anywhere


class Stamper:
    """Writes rows to the ledger at `path`, which is there, or to its spool where it can't.

    One serves all threads of a process. It has a connection of its own, so that a long import in this process does not
    hold it up.
    """

    def __init__(self, path: Path, *, synchronous: str) -> None:
        self._path = path.resolve()  # the connection is opened later, and the program may be elsewhere then
        self._synchronous = synchronous
        self._writer: Writer | None = None
        self._spool = spool.Spool(self._path)
        self._in_memory: deque[bytes] = deque(maxlen=_IN_MEMORY)
        self._closed = False
        self._start()
        _stampers.add(self)

    def _start(self) -> None:
        self._lock = threading.RLock()
        self._busy = False
        self._outage = False
        self._pause = _PAUSE_S
        self._retry_at = 0.0

    def after_fork(self) -> None:
        """In the child: what is kept is the parent's, who goes on with it."""
        self._start()
        self._spool.after_fork()
        self._in_memory.clear()

    def stamp(self, table: Table, fields: Mapping[str, Any]) -> int:
        """Keep one row. Returns how many went into the ledger: 1; 0 where it has to wait; more where others that had to
        wait went along."""
        try:
            filled, row = _sound(table, fields)
            with self._lock:
                if self._busy:  # with a row of this very thread: the garbage collector may end a stream anywhere
                    self._remember(spool.line(table, filled))
                    return 0
                self._busy = True
                try:
                    return self._stamp(table, filled, row)
                finally:
                    self._busy = False
        except Exception:  # a bug of ours is no trouble of the agent's
            _log.warning("A row could not be recorded", exc_info=True)
            return 0

    def writer(self) -> Writer:
        """The connection, opened when it is first needed. Raises LedgerError where the file can't be opened."""
        with self._lock:
            if self._closed:
                raise LedgerError(f"{self._path} is closed: open the ledger again")
            if self._writer is None:
                if not self._path.exists() or not self._path.stat().st_size:  # who made the stamper has it open
                    raise LedgerError(f"{self._path} was removed or emptied: open the ledger again")
                self._writer = Writer(self._path, synchronous=self._synchronous, timeout=_WAIT_S)
            return self._writer

    def close(self) -> None:
        """Bring in what had to wait, if that is possible now, and close. Closing twice is harmless.

        Rows that come later wait until the ledger is opened again.
        """
        with self._lock:
            if self._has_kept() and not self._closed:
                self._recover(everything=True)
            self._flush(len(self._in_memory))
            self._spool.close()
            if self._writer is not None:
                self._writer.close()
            self._closed = True

    def _stamp(self, table: Table, filled: dict[str, Any], row: tuple[Any, ...]) -> int:
        failure: Exception | None = None
        if time.monotonic() >= self._retry_at:
            try:
                try:
                    self.writer().insert(table, [row])
                except REFUSED:  # the quick look at a row sees types only
                    filled = _mended(table, filled)
                    self.writer().insert(table, [table.row(filled)])
            except Exception as error:
                failure = error
                self._wait()
            else:
                self._pause = _PAUSE_S
                return 1 + (self._recover() if self._has_kept() else 0)
        self._keep(table, filled, failure)
        return 0

    def _wait(self) -> None:
        self._retry_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)

    # -- rows that have to wait ---------------------------------------------------------------------------------------

    def _has_kept(self) -> bool:
        return bool(self._in_memory or self._spool.files)

    def _keep(self, table: Table, filled: dict[str, Any], failure: Exception | None) -> None:
        row = spool.line(table, _mended(table, filled))
        try:
            where = f"{self._spool.append(row)}, and `agent-ledger replay {self._path}` brings them in then"
        except OSError:
            self._remember(row)
            where = "memory, because no file can be written either"
        else:
            self._flush(spool.ROWS_PER_FILE)
        if self._closed:
            self._spool.close()  # nobody else will, and the next opening is to find it
        if not self._outage:
            _log.warning("A row can't be written (%s): until that is over, rows are kept in %s", failure, where)
        self._outage = True

    def _remember(self, row: bytes) -> None:
        if not self._in_memory:
            atexit.register(self.close)
        if len(self._in_memory) == _IN_MEMORY - 1:
            _log.error("No more rows can be kept in memory: from now on each new one costs the oldest")
        self._in_memory.append(row)

    def _forget(self, rows: int) -> None:
        for _ in range(rows):
            self._in_memory.popleft()
        if not self._in_memory:
            atexit.unregister(self.close)

    def _flush(self, most: int) -> None:
        """From memory to a file, if one can be written."""
        with suppress(OSError):
            for row in list(islice(self._in_memory, most)):
                self._spool.append(row)
                self._forget(1)

    def _recover(self, *, everything: bool = False) -> int:
        """The ledger can be written again: bring in a thousand rows at most, so that it takes no time, or everything.
        Returns how many came."""
        brought = 0
        self._spool.close()
        try:
            brought += self._bring_in()
            while everything and self._has_kept():
                brought += self._bring_in()
        except Exception:  # the next row tells why, if it has to wait too
            self._wait()
        if self._outage and not self._has_kept():
            self._outage = False
            _log.info("%s can be written again, and has the rows that had to wait", self._path)
        return brought

    def _bring_in(self) -> int:
        write = self.writer().insert
        if not self._in_memory:
            path = self._spool.files[0]
            brought = spool.bring_in_file(path, write)
            self._spool.files.remove(path)  # where it can't be read, it is there for the next opening
            return brought or 0
        some = list(islice(self._in_memory, spool.ROWS_PER_FILE))
        brought, refused = spool.bring_in(some, write)
        for row in refused:
            self._spool.append(row)
        self._forget(len(some))
        return brought


def _sound(table: Table, fields: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """The row by name and by position, with an id and a time."""
    try:
        filled = table.filled(fields)
        return filled, table.row(filled)
    except InvalidRecord:
        filled = _mended(table, fields)
        return filled, table.row(filled)


def _mended(table: Table, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The row, looked at closely: a value that may not enter the ledger costs the value and not the row."""
    given, named = dict(fields), set()
    while isinstance(refusal := table.refusal(given, LedgerError()), InvalidRecord) and refusal.field not in named:
        _log.warning("A value was not recorded: %s", refusal)
        named.add(refusal.field)
        given = _without(table, given, refusal.field)
    return table.filled(given)


def _without(table: Table, given: dict[str, Any], field: str) -> dict[str, Any]:
    if default := table.without({field: None}, field):
        return given | default
    if field in given:  # there is no such column
        return {name: value for name, value in given.items() if name != field}
    unit = field.removeprefix("usage.")
    return given | {"usage": {name: count for name, count in given["usage"].items() if name != unit}}


_stampers: WeakSet[Stamper] = WeakSet()


def _after_fork() -> None:
    for stamper in list(_stampers):
        stamper.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
