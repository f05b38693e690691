"""Old rows as Parquet files: writing them, proving that a file holds them, and reading them back.

A file has the columns of its table, what superseded a row (`superseded_by`, `superseded_reason`: NULL where it counts),
and `batch`: which of the transactions that take rows out of the table takes it. Rows are in the order of request_id and
id, in groups whose statistics tell where a request is.

The content digest is SHA-256 over the rows in that order, 16,384 at a time: of each such group, and column by column,
the values as one line of JSON without spaces, in UTF-8, ended by a newline.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

from agent_ledger.errors import LedgerError

GROUP: Final = 16_384  # rows of a row group
ADDED: Final = ("superseded_by", "superseded_reason", "batch")
_ADDED_TYPES: Final = {"superseded_by": "INTEGER", "superseded_reason": "TEXT", "batch": "INTEGER"}
_FEW_VALUES: Final = (  # columns that a dictionary makes small; in the others it would only cost time
    *(
        "agent_id",
        "model",
        "provider",
        "customer_id",
        "feature",
        "service_tier",
        "region",
        "evidence",
        "anomaly",
        "usage",
    ),
    *(
        "tool",
        "server",
        "resource_id",
        "operation",
        "unit",
        "status",
        "error_type",
        "superseded_reason",
        "batch",
        "part",
    ),
)


class Source(NamedTuple):
    """A table whose rows are archived."""

    table: str
    superseded: str  # the table that names those of its rows that do not count


CALLS: Final = Source("ledger", "superseded_call")
TOOL_CALLS: Final = Source("audit", "superseded_tool_call")


class File(NamedTuple):
    """A row of the table `archive`."""

    path: Path
    table: str
    since: str
    until: str
    batches: int
    rows: int
    digest: str
    content_digest: str


class Proof(NamedTuple):
    """What a file holds, read from the disk."""

    rows: int
    bytes: int
    digest: str
    content_digest: str


class Unreadable(LedgerError):
    """A file of the archive that is not there, or damaged; or there is no pyarrow to read it."""


def columns(connection: sqlite3.Connection, source: Source) -> dict[str, str]:
    """The columns of a source's files, with their types as SQLite names them."""
    return {**declared(connection, source.table), **_ADDED_TYPES}


def declared(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """The columns of a table with their types, in order."""
    found = connection.execute("select name, type from pragma_table_info(?, 'main')", [table])
    return {name: kind.upper() for name, kind in found}


def archived(connection: sqlite3.Connection, source: Source, since: str = "", until: str = "~") -> list[File]:
    """The files with rows of that time, by time."""
    found = connection.execute(
        "select path, source, since, until, batches, rows, digest, content_digest from main.archive"
        " where source = ? and first_ts < ? and last_ts >= ? order by first_ts, id",
        [source.table, until, since],
    ).fetchall()
    home = folder(connection)
    return [File(home / path, *rest) for path, *rest in map(tuple, found)]


def folder(connection: sqlite3.Connection) -> Path:
    """Where the ledger is."""
    (name,) = next(row[2:] for row in connection.execute("pragma database_list").fetchall() if row[1] == "main")
    return Path(name).parent


# -- writing ----------------------------------------------------------------------------------------------------------


def write(path: Path, kinds: Mapping[str, str], rows: Iterator[Sequence[Sequence[Any]]]) -> str:
    """Write rows, given in groups of GROUP, to a new file that is on the disk then. Returns their content digest."""
    pyarrow, parquet = _pyarrow()
    types = {"INTEGER": pyarrow.int64(), "TEXT": pyarrow.string(), "REAL": pyarrow.float64()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in kinds.items()])
    digest = hashlib.sha256()
    with path.open("xb") as file:
        few = [name for name in kinds if name in _FEW_VALUES]
        with parquet.ParquetWriter(file, schema, compression="zstd", use_dictionary=few) as writer:
            for group in rows:
                cells = [list(column) for column in zip(*group, strict=True)]
                _add(digest, cells)
                arrays = [pyarrow.array(column, field.type) for column, field in zip(cells, schema, strict=True)]
                writer.write_table(pyarrow.table(arrays, schema=schema), row_group_size=GROUP)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def publish(part: Path, path: Path) -> None:
    """Give a finished file its name, on the disk too."""
    part.replace(path)
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def prove(path: Path) -> Proof:
    """Read a whole file. Raises Unreadable."""
    digest = hashlib.sha256()
    count = 0
    file = _opened(path)
    try:
        for number in range(file.num_row_groups):
            table = file.read_row_group(number)
            count += table.num_rows
            _add(digest, [column.to_pylist() for column in table.columns])
    except Exception as error:  # pyarrow has many for a damaged file
        raise Unreadable(f"{path} is damaged ({error}): bring it back from a backup") from error
    finally:
        file.close()
    return Proof(count, path.stat().st_size, file_digest(path), digest.hexdigest())


def needs() -> None:
    """Raises Unreadable where pyarrow is missing."""
    _pyarrow()


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _add(digest: Any, cells: Sequence[Sequence[Any]]) -> None:
    for column in cells:
        digest.update(json.dumps(column, ensure_ascii=False, separators=(",", ":")).encode())
        digest.update(b"\n")


# -- reading ----------------------------------------------------------------------------------------------------------


def read(
    file: File,
    kinds: Collection[str],
    *,
    requests: Collection[str] | None = None,
    since: str = "",
    until: str = "~",
    where: Mapping[str, Collection[Any]] | None = None,
) -> Iterator[tuple[Any, ...]]:
    """The archived rows of a file: the columns `kinds`, None for those that the file is too old to have.

    `requests`: only rows of these request ids, without reading the others. `where`: only rows that have one of the
    values in one of the columns. Raises Unreadable.
    """
    arrow, compute = _pyarrow()[0], import_module("pyarrow.compute")
    opened = _opened(file.path)
    wanted = None if requests is None else sorted(requests)
    try:
        there = set(opened.schema_arrow.names)
        asked = dict.fromkeys((*kinds, "batch", "ts", "request_id", *(where or ())))
        names = [name for name in asked if name in there]
        for number in range(opened.num_row_groups):
            if wanted is not None and not _may_hold(opened, number, wanted):
                continue
            table = opened.read_row_group(number, names)
            keep = compute.less(table["batch"], file.batches)
            if since or until != "~":
                keep = compute.and_(keep, compute.greater_equal(table["ts"], since))
                keep = compute.and_(keep, compute.less(table["ts"], until))
            if wanted is not None:
                keep = compute.and_(keep, _among(arrow, compute, table["request_id"], wanted))
            if where:
                either = [_among(arrow, compute, table[name], list(values)) for name, values in where.items()]
                for one in either[1:]:
                    either[0] = compute.or_(either[0], one)
                keep = compute.and_(keep, either[0])
            table = table.filter(keep)
            none = [None] * table.num_rows
            yield from zip(*(table[name].to_pylist() if name in there else none for name in kinds), strict=True)
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{file.path} is damaged ({error}): bring it back from a backup") from error
    finally:
        opened.close()


def _among(arrow: Any, compute: Any, column: Any, values: Sequence[Any]) -> Any:
    return compute.is_in(column, value_set=arrow.array(values, column.type))


def _may_hold(opened: Any, number: int, wanted: Sequence[str]) -> bool:
    """Do the statistics of a row group leave it open whether one of the requests is in it?"""
    group = opened.metadata.row_group(number)
    at = opened.schema_arrow.names.index("request_id")
    known = group.column(at).statistics
    if known is None or not known.has_min_max:
        return True
    first = bisect_left(wanted, known.min)
    return first < len(wanted) and wanted[first] <= known.max


def _opened(path: Path) -> Any:
    _, parquet = _pyarrow()
    try:
        return parquet.ParquetFile(path, memory_map=True)
    except FileNotFoundError:
        raise Unreadable(f"{path} is not there: bring the file of the archive back to its place") from None
    except Exception as error:  # pyarrow has many for a damaged file
        raise Unreadable(f"{path} is damaged ({error}): bring it back from a backup") from error


def _pyarrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise Unreadable("the archive needs pyarrow: pip install 'agent-cost-ledger[parquet]'") from None
