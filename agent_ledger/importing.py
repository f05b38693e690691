"""Running an importer: one file, one transaction, and a summary of what became of its records."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from agent_ledger.errors import LedgerError
from agent_ledger.hookspecs import Defaults, Importer
from agent_ledger.recording import CALLS, TOOL_CALLS, Table, fields_of
from agent_ledger.records import Call, Fact, Refused

_CHUNK = 5_000


@dataclass(slots=True, kw_only=True)
class Imported:
    """What became of the records of one file. `read` counts them all: added, already there and refused."""

    file: Path
    added: int = 0
    already_there: int = 0
    refused: list[Refused] = field(default_factory=list)

    @property
    def read(self) -> int:
        return self.added + self.already_there + len(self.refused)


def import_file(
    connection: sqlite3.Connection,
    importer: Importer,
    file: Path,
    defaults: Defaults,
    advance: Callable[[int], None],
) -> Imported:
    """Bring one file in, all of it that can be read, or nothing. The caller holds the transaction.

    Raises ImportFailed where the file as a whole can't be read.
    """
    summary = Imported(file=file)
    facts = importer.read(file, defaults, advance)
    while chunk := list(islice(facts, _CHUNK)):
        summary.refused += [fact for fact in chunk if isinstance(fact, Refused)]
        for table, rows in ((CALLS, _of(chunk, calls=True)), (TOOL_CALLS, _of(chunk, calls=False))):
            added, already_there, refused = _insert(connection, table, rows)
            summary.added += added
            summary.already_there += already_there
            summary.refused += refused
    summary.refused.sort(key=lambda refused: refused.line or 0)
    return summary


def _of(chunk: Iterable[Fact], *, calls: bool) -> Iterator[dict[str, Any]]:
    return (
        dict(fields_of(fact)) for fact in chunk if not isinstance(fact, Refused) and isinstance(fact, Call) == calls
    )


def _insert(
    connection: sqlite3.Connection, table: Table, records: Iterable[dict[str, Any]]
) -> tuple[int, int, list[Refused]]:
    added = already_there = 0
    refused: list[Refused] = []
    for record in records:
        try:
            inserted = connection.execute(table.insert, table.row(record)).rowcount
        except LedgerError as error:
            refused.append(Refused(None, str(error)))
        except (sqlite3.IntegrityError, OverflowError, UnicodeEncodeError) as error:
            refused.append(Refused(None, str(table.refusal(record, error))))
        else:
            added += inserted
            already_there += 1 - inserted
    return added, already_there, refused
