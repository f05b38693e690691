"""The ledger file: its tables, views and version, all read from `sql/`.

Tables are migrated, forward only. Views are derived: they are replaced whenever the text that is shipped differs.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from itertools import chain
from pathlib import Path

from sqlite_utils import Database

from agent_ledger.errors import NotALedger

APPLICATION_ID = 0x41474C44  # "AGLD"
BUSY_TIMEOUT_S = 30.0
_SQLITE_REQUIRED = (3, 37, 0)  # STRICT tables


@cache
def scripts(folder: str) -> dict[str, str]:
    """The SQL of `sql/<folder>/`, by name of the object it defines (tables, views) or question it asks (checks)."""
    found = sorted(
        (entry for entry in files("agent_ledger").joinpath("sql", folder).iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    # A trailing semicolon would make SQLite's stored text differ from ours each time.
    return {entry.name.removesuffix(".sql"): entry.read_text("utf-8").strip().rstrip(";") for entry in found}


def newest_version() -> int:
    """The schema version of files that this package makes: 1, and one more for each migration."""
    return 1 + len(scripts("migrations"))


def refusal(path: Path) -> str | None:
    """Why `path` can't be opened as a ledger, in one sentence; None if it can, or does not exist yet.

    Only reads, so that what is not ours is left as it is.
    """
    if sqlite3.sqlite_version_info < _SQLITE_REQUIRED:
        return f"SQLite 3.37 or newer is needed, this Python has {sqlite3.sqlite_version}"
    if str(path) == ":memory:":
        return "a ledger is a file that several processes share: give a path instead of :memory:"
    if path.is_dir():
        return f"{path} is a folder: give the path of a ledger file"
    if not path.exists():
        if not path.parent.is_dir():
            return f"there is no folder {path.parent}: make it first"
        return None
    if path.stat().st_size == 0 or _is_plainly_ours(path):
        return None
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        return f"{path} can't be read: {error.strerror}"
    if _is_cut_off(path, header):
        return f"{path} is cut off: bring it back from a backup"
    if header[:16] not in (b"SQLite format 3\0", bytes(16)):  # zeros: another process is making the file right now
        return f"{path} is not an agent-ledger file but something else: give another path"
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID and _application_id(path, header) != APPLICATION_ID:
        return f"{path} is a SQLite file of another application: give another path"
    found = int.from_bytes(header[60:64], "big")
    if found > newest_version():
        return (
            f"{path} was written by a newer agent-ledger (schema {found}, this one knows {newest_version()}): "
            "upgrade with `pip install -U agent-cost-ledger`"
        )
    return None


def _is_plainly_ours(path: Path) -> bool:
    """Is it a ledger of a version that we know, with nothing to say about it?

    Read by SQLite, which takes no locks here and touches nothing. Closing a file that was opened in any other way would
    take the locks of this process away from all its connections (POSIX), and whoever closes last elsewhere would then
    remove the WAL that they still write to.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            ours = connection.execute("pragma application_id").fetchone() == (APPLICATION_ID,)
            return ours and stored_version(connection) <= newest_version()
    except sqlite3.Error:
        return False


def _is_cut_off(path: Path, header: bytes) -> bool:
    """Is the file shorter than its header says? Never said of a file that somebody has open: it may be growing."""
    if header[:16] != b"SQLite format 3\0":
        return False
    if len(header) < 100:
        return True
    if any(path.with_name(path.name + suffix).exists() for suffix in ("-wal", "-journal")):
        return False
    page_size = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    return path.stat().st_size < pages * (65536 if page_size == 1 else page_size)


def _application_id(path: Path, header: bytes) -> int:
    """The application id as SQLite reads it, after waiting for writers; 0 where reading would touch the file."""
    if header[18] == 2:  # WAL: ours have their id in the file itself before they become one
        return 0
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
    try:
        return int(connection.execute("pragma application_id").fetchone()[0])
    except sqlite3.DatabaseError:
        return 0
    finally:
        connection.close()


def open_for_writing(path: Path, *, synchronous: str, timeout: float | None = None) -> sqlite3.Connection:
    """Open, make or upgrade the ledger at `path`, waiting at most `timeout` seconds for other writers each time.

    Raises NotALedger, with the file untouched, where it is not one.
    """
    if reason := refusal(path):
        raise NotALedger(reason)
    # Autocommit: a single INSERT is a transaction of its own, and longer ones are begun where they begin.
    timeout = BUSY_TIMEOUT_S if timeout is None else timeout
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("pragma foreign_keys = on")
        _bring_up_to_date(connection)  # before WAL, so that the file's own header says whose it is
        _use_wal(connection, timeout)
        connection.execute(f"pragma synchronous = {synchronous}")
        connection.execute(
            "pragma cache_size = -65536"
        )  # 64 MB at most: ids are random, their index is all over the file
    except sqlite3.DatabaseError as error:
        connection.close()
        raise NotALedger(f"{path} can't be opened as a ledger: {error}") from error
    return connection


def _use_wal(connection: sqlite3.Connection, timeout: float) -> None:
    """Switch to WAL, once in a file's life. SQLite does not wait here when others are opening the file, so we do."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the ledger at `path` without ever writing to it, even where its folder is read-only."""
    if reason := refusal(path):
        raise NotALedger(reason)
    if not path.exists() or path.stat().st_size == 0:
        raise NotALedger(f"{path} does not exist: `agent-ledger init {path}` makes a ledger")
    uri = path.resolve().as_uri()
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        connection.execute("select 1 from sqlite_schema").fetchone()
    except sqlite3.OperationalError:
        # A WAL file in a folder that we may not write to can only be read as if nobody else had it open.
        connection.close()
        connection = sqlite3.connect(f"{uri}?immutable=1", uri=True, isolation_level=None)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise NotALedger(f"{path} can't be read: {error}") from error
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, on a connection in autocommit mode."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("rollback")
        raise


def stored_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("pragma user_version").fetchone()[0])


def views_are_current(connection: sqlite3.Connection) -> bool:
    """Are the views in the file those that this package ships?"""
    stored = dict(connection.execute("select name, sql from sqlite_schema where type = 'view'"))
    return all(stored.get(name) == _create_view(name, body) for name, body in scripts("views").items())


def overlay_views(connection: sqlite3.Connection) -> None:
    """Put this package's views before those of the file, for this connection only.

    They read whatever temporary tables the connection has in place of the file's own: a temporary `rate` gives every
    view other prices, and nothing is written.
    """
    for name, body in scripts("views").items():
        connection.execute(f'drop view if exists temp."{name}"')
        connection.execute(f'create temp view "{name}" as {body}')


def _create_view(name: str, body: str) -> str:
    return f'CREATE VIEW "{name}" AS {body}'


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    if stored_version(connection) == newest_version() and views_are_current(connection):
        return
    connection.execute("begin immediate")  # one process upgrades, the others wait and find it done
    db = Database(connection, execute_plugins=False, recursive_triggers=False)
    try:
        found = stored_version(connection)
        if found > newest_version():
            raise sqlite3.DatabaseError("a newer agent-ledger has just upgraded it")
        bodies = [*scripts("migrations").values()][found - 1 :] if found else [*scripts("tables").values()]
        for statement in chain.from_iterable(map(_statements, bodies)):
            connection.execute(statement)
        _refresh_views(db)
        connection.execute(f"pragma application_id = {APPLICATION_ID}")
        connection.execute(f"pragma user_version = {newest_version()}")
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def _statements(body: str) -> Iterator[str]:
    """The statements of a script, of which no two share a line.

    sqlite3's executescript would commit the transaction; that of sqlite-utils looks for the end after each character,
    which takes a quarter of a second.
    """
    lines: list[str] = []
    for line in f"{body};".splitlines():
        lines.append(line)
        if ";" in line and sqlite3.complete_statement(statement := "\n".join(lines)):
            yield statement
            lines = []


def _refresh_views(db: Database) -> None:
    """Replace the views whose text differs, unless a newer package wrote them."""
    ours = version("agent-cost-ledger")
    theirs = db.execute("select value from ledger_meta where key = 'views_from'").fetchone()
    if theirs and _release(theirs[0]) > _release(ours):
        return
    for name, body in scripts("views").items():
        db.create_view(name, body, replace=True)
    db.execute("insert or replace into ledger_meta (key, value) values ('views_from', ?)", [ours])


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdigit())
