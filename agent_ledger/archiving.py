"""Archiving: old rows that the rollups have summed move to Parquet files, and what they sum to stays as it is.

A file is written, flushed to the disk and read back; only when it holds exactly the rows of the table do they leave it,
some thousands in each transaction, which also says so in `archive`. Killed at any point, each row is either in the
table or in a file that was proven. What an interruption left in the table goes to another file the next time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from agent_ledger import archive_choice, archive_files, clock, rollup, tool_rollup
from agent_ledger.archive_choice import Period, Spec
from agent_ledger.archive_files import CALLS, TOOL_CALLS, Source
from agent_ledger.errors import InvalidRecord, LedgerError
from agent_ledger.records import Row
from agent_ledger.schema import transaction

MONTH: Final = 2_000_000  # rows: a month with more of them makes a file of each day
_DAY: Final = 10  # digits of a timestamp
_MONTH: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """What was moved. `left` are rows of that time that had to stay, `open_months` those of the moved rows that are not
    closed, `free_bytes` what the ledger has in pages without content: new rows go there, or VACUUM gives it back."""

    files: tuple[Path, ...]
    rows: int
    left: int
    open_months: tuple[str, ...]
    free_bytes: int


def archive(
    connection: sqlite3.Connection,
    folder: Path,
    before: object,
    advance: Callable[[int], None] = lambda _: None,
) -> Archived:
    """Move what was recorded of the time before the UTC day `before` to Parquet files in `folder`, which is made.

    The connection is in autocommit mode and in no transaction; others may write meanwhile. `advance` is told of each
    step how many rows it took. Raises InvalidRecord for what is no day of the past, and LedgerError, with all rows
    where they are, where a file can't be written or the rollups are not what they should be.
    """
    end = _day(before)
    archive_files.needs()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(f"{folder} can't be a folder for the archive: {error.strerror}") from None
    with transaction(connection):
        rollup.mend(connection)
        tool_rollup.mend(connection)
    moved: list[tuple[Path, int]] = []
    months: set[str] = set()
    planned = 0
    for spec in archive_choice.SPECS:
        archive_choice.check_sums(connection, spec)
        counts = archive_choice.counts(connection, spec, end)
        planned += sum(counts.values())
        for month, days in groupby(counts, lambda day: day[:_MONTH]):
            for period in _periods({day: counts[day] for day in days}, end):
                if done := _move(connection, spec, folder, period, advance):
                    moved.append(done)
                    months.add(month)
    rows = sum(count for _, count in moved)
    closed = {row[0] for row in connection.execute("select month from closed_month")}
    return Archived(
        files=tuple(path for path, _ in moved),
        rows=rows,
        left=planned - rows,
        open_months=tuple(sorted(months - closed)),
        free_bytes=free_bytes(connection),
    )


def free_bytes(connection: sqlite3.Connection) -> int:
    """How much of the ledger file is pages without content."""
    pages = "select freelist_count * page_size from pragma_freelist_count, pragma_page_size"
    return int(connection.execute(pages).fetchone()[0])


def vacuum(connection: sqlite3.Connection) -> None:
    """Give free pages back to the file system. Takes as much space again as the file has content, and a while in which
    nobody else can write. Raises LedgerError."""
    try:
        connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)")
    except sqlite3.Error as error:
        raise LedgerError(f"the ledger can't be vacuumed now ({error}): try again when nobody writes") from error


def problems(connection: sqlite3.Connection) -> list[Row]:
    """What a check says about the files of the archive. Reads all of them, needs no pyarrow."""
    found = []
    for source in (CALLS, TOOL_CALLS):
        for file in archive_files.archived(connection, source):
            try:
                sound = archive_files.file_digest(file.path) == file.digest
                problem = "its digest is another than when it was archived: bring it back from a backup"
            except FileNotFoundError:
                sound, problem = False, f"it is not there, with {file.rows:,} rows: bring it back to its place"
            except OSError as error:
                sound, problem = False, f"it can't be read: {error.strerror}"
            if not sound:
                found.append({"check": "archive", "subject": str(file.path), "problem": problem})
    return found


# -- which rows -------------------------------------------------------------------------------------------------------


def _day(before: object) -> str:
    try:
        end = clock.parse(before)
    except ValueError:
        end = ""
    if end[_DAY:] != "T00:00:00.000Z":
        raise InvalidRecord("before", before, "give a UTC day such as 2026-07-01")
    if end > clock.now():
        raise InvalidRecord("before", before, "give a day that is not in the future")
    return end


def _periods(counts: dict[str, int], end: str) -> list[Period]:
    """The files for the days of one month."""
    if sum(counts.values()) > MONTH:
        return [Period(day, _midnight(day), _midnight_after(day, 1)) for day in counts]
    month = next(iter(counts))[:_MONTH]
    return [
        Period(
            month, _midnight(f"{month}-01"), min(_midnight(f"{_midnight_after(f'{month}-01', 31)[:_MONTH]}-01"), end)
        )
    ]


# -- moving them ------------------------------------------------------------------------------------------------------


def _move(
    connection: sqlite3.Connection, spec: Spec, folder: Path, period: Period, advance: Callable[[int], None]
) -> tuple[Path, int] | None:
    """Move the rows of one file. Returns it and how many went; None: none may go."""
    if not archive_choice.choose(connection, spec, period):
        return None
    path, entry = _written(connection, spec.source, folder, period)
    moved = 0
    for (batch,) in connection.execute("select distinct batch from temp.archiving order by 1").fetchall():
        try:
            with transaction(connection):
                count = _take(connection, spec, entry, batch)
        except sqlite3.IntegrityError:
            break  # another account of one of these calls has just come: they stay, and go to another file next time
        if not count:
            break
        moved += count
        advance(count)
    if not moved:
        path.unlink()
        return None
    return path, moved


def _written(connection: sqlite3.Connection, source: Source, folder: Path, period: Period) -> tuple[Path, Row]:
    """Write the chosen rows to a file, and prove that it holds them. Returns it, and its row of `archive`."""
    kinds = archive_files.columns(connection, source)
    part = folder / f".{source.table}-{period.name}.{clock.sortable_id()}.part"
    try:
        content = archive_files.write(part, kinds, _groups(connection, source, kinds))
        path = folder / f"{source.table}-{period.name}-{content[:12]}.parquet"
        home = archive_files.folder(connection)
        name = path.resolve()
        stored = name.relative_to(home).as_posix() if name.is_relative_to(home) else str(name)
        if connection.execute("select 1 from archive where path = ?", [stored]).fetchone():
            raise LedgerError(f"{path} is archived already: somebody else is archiving, try again")
        archive_files.publish(part, path)  # one of this name has the same content: somebody was interrupted
    except OSError as error:
        raise LedgerError(f"{folder} can't take the archive of {period.name}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    proof = archive_files.prove(path)
    first_id, last_id, first_ts, last_ts, count = connection.execute(
        f"select min(id), max(id), min(ts), max(ts), count(*) from temp.archiving join {source.table} using (id)"
    ).fetchone()
    if (proof.rows, proof.content_digest) != (count, content):
        raise LedgerError(f"{path} does not hold what was written to it: the rows stay in the ledger; look at the disk")
    entry: Row = {"source": source.table, "path": stored, "since": period.since, "until": period.until}
    entry |= {"first_id": first_id, "last_id": last_id, "first_ts": first_ts, "last_ts": last_ts}
    entry |= {"batches": 0, "rows": 0, "counted": 0, "bytes": proof.bytes, "digest": proof.digest}
    return path, entry | {"content_digest": content, "archived_at": clock.now(), "moving": 1}


def _groups(
    connection: sqlite3.Connection, source: Source, kinds: Sequence[str] | Any
) -> Iterator[list[tuple[Any, ...]]]:
    named = ", ".join(f'row."{name}"' for name in kinds if name not in archive_files.ADDED)
    found = connection.execute(
        f"select {named}, chosen.by_id, chosen.reason, chosen.batch"
        f" from temp.archiving as chosen cross join {source.table} as row on row.id = chosen.id"
        " order by row.request_id, row.id"
    )
    while group := found.fetchmany(archive_files.GROUP):
        yield [tuple(row) for row in group]


def _take(connection: sqlite3.Connection, spec: Spec, entry: Row, batch: int) -> int:
    """Let one batch leave its table, within a transaction. Returns how many rows; 0: they have to stay."""
    table, superseded = spec.source
    chosen = "select id from temp.archiving where batch = :batch"
    state = {"batch": batch, "path": entry["path"]}
    expected, last = connection.execute(
        "select count(*), max(id) from temp.archiving where batch = :batch", state
    ).fetchone()
    stays = f"select exists (select 1 from {table} as row where id in ({chosen}) and ({spec.stays}))"
    told = f"select id, by_id, reason from {superseded} where id in ({chosen}) or by_id in ({chosen})"
    known = "select id, by_id, reason from temp.archiving where batch = :batch and by_id is not null"
    differs = f"select exists ({told} except {known}) or exists ({known} except {told})"
    if (
        last > archive_choice.reached(connection, spec)
        or connection.execute(stays, state).fetchone()[0]
        or connection.execute(differs, state).fetchone()[0]
    ):
        return 0
    if connection.execute("update archive set moving = 1 where path = :path", state).rowcount == 0:
        connection.execute(
            f"insert into archive ({', '.join(entry)}) values ({', '.join('?' * len(entry))})", list(entry.values())
        )
    connection.execute(f"delete from {superseded} where id in ({chosen})", state)
    if connection.execute(f"delete from {table} where id in ({chosen})", state).rowcount != expected:
        raise LedgerError("rows are gone that were to be archived: somebody else is archiving, try again")
    connection.execute(
        "update archive set moving = 0, batches = :batch + 1, rows = rows + taken, counted = counted + counting"
        " from (select count(*) as taken, count(*) - count(by_id) as counting from temp.archiving where batch = :batch)"
        " where path = :path",
        state,
    )
    return int(expected)


def _midnight(day: str) -> str:
    return f"{day}T00:00:00.000Z"


def _midnight_after(day: str, days: int) -> str:
    return clock.timestamp(datetime.fromisoformat(day) + timedelta(days=days))
