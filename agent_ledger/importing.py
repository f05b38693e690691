"""Running an importer: one transaction, and a summary of what became of the records of each file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from agent_ledger import archive_identity
from agent_ledger.allocation import allocate
from agent_ledger.bills import Deliveries, chosen_measure, keep_measure
from agent_ledger.errors import LedgerError
from agent_ledger.hookspecs import Defaults, Importer
from agent_ledger.recording import CALLS, REFUSED, TOOL_CALLS, Table, fields_of
from agent_ledger.records import Call, Charge, ProviderUsage, Refused, ToolCall

_CHUNK = 5_000


@dataclass(slots=True, kw_only=True)
class Imported:
    """What became of the records of one file. `read` counts them all: added, already there and refused."""

    file: Path
    added: int = 0
    already_there: int = 0
    archived: int = 0  # of those already there
    refused: list[Refused] = field(default_factory=list)

    @property
    def read(self) -> int:
        return self.added + self.already_there + len(self.refused)


def import_files(
    connection: sqlite3.Connection,
    importer: Importer,
    files: Sequence[Path],
    defaults: Defaults,
    advance: Callable[[int], None],
) -> list[Imported]:
    """Bring files in that belong together, all that can be read of them, or nothing. The caller holds the transaction.

    The files of a bill are the parts of one delivery; the bill is allocated to tool calls at once.
    Raises ImportFailed where a file as a whole can't be read.
    """
    measure = chosen_measure(connection, defaults.cost_measure)
    told = replace(defaults, cost_measure=measure)
    deliveries = Deliveries(connection, importer.name, defaults.delivery, files)
    done = [_import_file(connection, importer, file, told, advance, deliveries) for file in files]
    if deliveries.added_charges:
        keep_measure(connection, measure)
        allocate(connection)
    return done


def _import_file(
    connection: sqlite3.Connection,
    importer: Importer,
    file: Path,
    defaults: Defaults,
    advance: Callable[[int], None],
    deliveries: Deliveries,
) -> Imported:
    summary = Imported(file=file)
    facts = importer.read(file, defaults, advance)
    while chunk := list(islice(facts, _CHUNK)):
        summary.refused += [fact for fact in chunk if isinstance(fact, Refused)]
        for table, kind in ((CALLS, Call), (TOOL_CALLS, ToolCall)):
            wanted = [fact for fact in chunk if isinstance(fact, kind)]
            outcome = _insert(connection, table, wanted)
            summary.added += outcome.added
            summary.already_there += outcome.already_there
            summary.archived += outcome.archived
            summary.refused += outcome.refused
        billed = [fact for fact in chunk if isinstance(fact, Charge | ProviderUsage)]
        added = deliveries.add(billed)
        summary.added += added
        summary.already_there += len(billed) - added
    summary.refused.sort(key=lambda refused: refused.line or 0)
    return summary


class _Outcome(NamedTuple):
    """How many facts are new, and how many were there, `archived` ones among them."""

    added: int
    already_there: int
    archived: int
    refused: list[Refused]


def _insert(connection: sqlite3.Connection, table: Table, facts: Sequence[Call | ToolCall]) -> _Outcome:
    """Insert facts, all at once where none is wrong or old, else one by one."""
    connection.execute("savepoint facts")
    try:
        added = connection.executemany(table.insert, map(table.row_of, facts)).rowcount if facts else 0
    except (LedgerError, *REFUSED):
        connection.execute("rollback to facts")
        outcome = _insert_one_by_one(connection, table, facts)
    else:
        outcome = _Outcome(added, len(facts) - added, 0, [])
    connection.execute("release facts")  # not after other errors: they end the transaction, the savepoint with it
    return outcome


def _insert_one_by_one(connection: sqlite3.Connection, table: Table, facts: Iterable[Call | ToolCall]) -> _Outcome:
    added = already_there = 0
    refused: list[Refused] = []
    rows: dict[tuple[Any, ...], list[Call | ToolCall]] = {}
    for fact in facts:
        try:
            rows.setdefault(table.row_of(fact), []).append(fact)
        except (LedgerError, *REFUSED) as error:
            refused.append(Refused(None, str(error)))
    ordered = [row for row, same in rows.items() for _ in same]
    sifted = archive_identity.sift(connection, table, ordered)
    refused += [Refused(None, sifted.reason or "")] * sifted.untold
    with archive_identity.admitting(connection):
        for row in sifted.new:
            try:
                inserted = connection.execute(table.insert, row).rowcount
            except REFUSED as error:
                refused.append(Refused(None, str(table.refusal(fields_of(rows[row][0]), error))))
            else:
                added += inserted
                already_there += 1 - inserted
    return _Outcome(added, already_there + sifted.archived, sifted.archived, refused)
