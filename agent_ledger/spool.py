"""Rows that could not be written to the ledger, in JSONL files beside it, until they can.

`<ledger>.spool-<id>.jsonl`, or in the temporary folder where the ledger's own can't be written. One process appends to
a file, and holds its lock meanwhile, so that no other takes it away. Bringing a file in twice is harmless: each row has
its id and its time, and the ledger ignores what it has.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from agent_ledger import clock
from agent_ledger.errors import InvalidRecord
from agent_ledger.recording import CALLS, REFUSED, TOOL_CALLS, Table
from agent_ledger.records import Row

try:
    import fcntl
except ImportError:  # Windows does not let anybody remove a file that is open, which is all that the lock is for
    fcntl = None  # type: ignore[assignment]

ROWS_PER_FILE = 1000  # so that bringing one in is a matter of milliseconds

_log = logging.getLogger("agent_ledger")
_Write = Callable[[Table, Sequence[tuple[Any, ...]]], object]
_TABLES = {table.name: table for table in (CALLS, TOOL_CALLS)}
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)  # anybody may put a link into the temporary folder


def line(table: Table, fields: Mapping[str, Any]) -> bytes:
    """A row as a line of a file. `fields` are sound, with an id and a time."""
    return json.dumps({"table": table.name, "row": dict(fields)}, default=dict).encode() + b"\n"


class Spool:
    """The files of one process: `files` are those that are not brought in yet, oldest first.

    Not for several threads at once.
    """

    def __init__(self, ledger: Path) -> None:
        self.files: list[Path] = []
        self._ledger = ledger
        self._file: BinaryIO | None = None
        self._rows = 0

    def append(self, row: bytes) -> Path:
        """Keep a line. Returns the file that has it. Raises OSError where no folder takes it."""
        if self._file is None or self._rows >= ROWS_PER_FILE or not _exists(self._file):
            self.close()
            path, self._file = _new_file(self._ledger)
            self.files.append(path)
        before = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(row) < len(row):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), before)
            self.close()
            raise
        self._rows += 1
        return self.files[-1]

    def close(self) -> None:
        """Leave the file to whoever brings it in."""
        if self._file is not None:
            if fcntl:
                fcntl.flock(self._file, fcntl.LOCK_UN)  # a child may have it open too, since a fork
            self._file.close()
        self._file, self._rows = None, 0

    def after_fork(self) -> None:
        """In the child: the files are the parent's, who goes on with them."""
        if self._file is not None:
            self._file.close()
        self._file, self._rows, self.files = None, 0, []


def _new_file(ledger: Path) -> tuple[Path, BinaryIO]:
    failure = OSError("there is no folder for it")
    for place in _places(ledger):
        try:
            while True:
                path = place.with_name(f"{place.name}.spool-{clock.sortable_id()}.jsonl")
                file = os.fdopen(
                    os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600),
                    "wb",
                    buffering=0,  # what is written survives the process
                )
                if _lock(file):
                    return path, file
                file.close()  # somebody took it for an old one before it had its lock
        except OSError as error:
            failure = error
    raise failure


def _lock(file: BinaryIO) -> bool:
    """Lock an open file. False: another process has the lock, or has removed the file before we got it."""
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _exists(file)


def _exists(file: BinaryIO) -> bool:
    """Has an open file still got a name?"""
    return os.fstat(file.fileno()).st_nlink > 0


def _places(ledger: Path) -> Iterator[Path]:
    """What the names of the files begin with: the ledger itself, and what it is called in the temporary folder."""
    ledger = ledger.resolve()
    yield ledger
    with suppress(FileNotFoundError):  # there is no temporary folder
        digest = hashlib.sha256(os.fsencode(ledger)).hexdigest()[:16]
        yield Path(tempfile.gettempdir()) / f"agent-ledger-{digest}-{ledger.name}"


def files(ledger: Path) -> list[Path]:
    """The files that hold rows for this ledger, oldest first, and those with lines that were refused."""
    found = []
    for place in _places(ledger):
        begin = f"{place.name}.spool-"
        for path in place.parent.glob(f"{_escaped(begin)}*"):
            if path.name.endswith((".jsonl", ".jsonl.refused")) and _is_ours(path, anybody=place == ledger.resolve()):
                found.append((path.name.removeprefix(begin), path))
    return [path for _, path in sorted(found)]


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _is_ours(path: Path, *, anybody: bool) -> bool:
    """A file, and not a link to one, that is there. `anybody` False: only if it belongs to the present user."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and (anybody or not hasattr(os, "geteuid") or found.st_uid == os.geteuid())


def waiting(ledger: Path) -> dict[Path, int | None]:
    """How many rows the files hold; None where a file can't be read. A file without rows is not listed."""
    rows: dict[Path, int | None] = {}
    for path in files(ledger):
        try:
            number = sum(map(bool, path.read_bytes().split(b"\n")))
        except FileNotFoundError:
            continue
        except OSError:
            rows[path] = None
        else:
            if number:
                rows[path] = number
    return rows


def problems(ledger: Path) -> list[Row]:
    """What a check says about rows that are not in the ledger yet."""
    return [
        {"check": "spool", "subject": path.name, "problem": _problem(ledger, path, rows)}
        for path, rows in waiting(ledger).items()
    ]


def _problem(ledger: Path, path: Path, rows: int | None) -> str:
    if rows is None:
        return f"recorded rows are not in the ledger: let the owner of {path} run `agent-ledger replay {ledger}`"
    missing = "1 recorded row is" if rows == 1 else f"{rows:,} recorded rows are"
    if path.suffix == ".refused":
        remedy = f"mend them in {path}, take .refused off its name, and run `agent-ledger replay {ledger}`"
    elif _is_being_written(path):
        remedy = "a process that still runs brings them in, or whoever opens the ledger when it has ended"
    else:
        remedy = f"bring them in with `agent-ledger replay {ledger}`"
    return f"{missing} not in the ledger: {remedy}"


def _is_being_written(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return not _lock(file)
    except OSError:
        return False


def replay(ledger: Path, write: _Write) -> int:
    """Bring in the files that no other process is writing. Returns the number of rows.

    `write` stores rows in one transaction. What it raises where the ledger can't be written ends the replay; the files
    that are left stay. Lines that make no sense are kept in a file that ends in `.refused`.
    """
    return sum(bring_in_file(path, write) or 0 for path in files(ledger) if path.suffix == ".jsonl")


def bring_in_file(path: Path, write: _Write) -> int | None:
    """Bring in one file, and remove it. Returns the number of rows; None where another process has it, or it can't be
    read. Raises what `write` raises."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | _NO_LINKS), "rb") as file:
            if not _lock(file):
                return None
            rows, refused = bring_in(file.read().split(b"\n"), write)
            if refused:
                _set_aside(path, refused)
        path.unlink(missing_ok=True)  # not while it is open, for Windows' sake
    except FileNotFoundError:
        return None
    except OSError:
        _log.warning("The rows in %s can't be brought in, or it can't be removed", path, exc_info=True)
        return None
    return rows


def bring_in(lines: Iterable[bytes], write: _Write) -> tuple[int, list[bytes]]:
    """Store rows. Returns how many they are, and the lines that may not enter the ledger. Raises what `write` raises,
    unless it is one of REFUSED."""
    sound: dict[Table, list[tuple[bytes, tuple[Any, ...]]]] = {}
    refused = []
    for one in filter(None, lines):
        try:
            record = json.loads(one)
            table = _TABLES[record["table"]]
            sound.setdefault(table, []).append((one, table.row(record["row"])))
        except (ValueError, LookupError, TypeError, RecursionError, InvalidRecord):
            refused.append(one)
    brought = 0
    for table, rows in sound.items():
        try:
            write(table, [row for _, row in rows])
        except REFUSED:
            bad = list(_one_by_one(table, rows, write))
            refused += bad
            brought -= len(bad)
        brought += len(rows)
    return brought, refused


def _one_by_one(table: Table, rows: Iterable[tuple[bytes, tuple[Any, ...]]], write: _Write) -> Iterator[bytes]:
    for one, row in rows:
        try:
            write(table, [row])
        except REFUSED:
            yield one


def _set_aside(path: Path, refused: Sequence[bytes]) -> None:
    aside = path.with_name(f"{path.name}.refused")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NO_LINKS, 0o600), "wb") as file:
        file.write(b"\n".join(refused) + b"\n")
    _log.warning("%d lines of %s can't be brought in: they are kept in %s", len(refused), path, aside)
