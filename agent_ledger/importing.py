"""Running an importer: one transaction, and a summary of what became of the records of each file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

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
            added, already_there, refused = _insert(connection, table, wanted)
            summary.added += added
            summary.already_there += already_there
            summary.refused += refused
        billed = [fact for fact in chunk if isinstance(fact, Charge | ProviderUsage)]
        added = deliveries.add(billed)
        summary.added += added
        summary.already_there += len(billed) - added
    summary.refused.sort(key=lambda refused: refused.line or 0)
    return summary


def _insert(
    connection: sqlite3.Connection, table: Table, facts: Sequence[Call | ToolCall]
) -> tuple[int, int, list[Refused]]:
    """Insert facts, all at once where none is wrong, else one by one. Returns how many are new, old and refused."""
    connection.execute("savepoint facts")
    try:
        added = connection.executemany(table.insert, map(table.row_of, facts)).rowcount if facts else 0
    except (LedgerError, *REFUSED):
        connection.execute("rollback to facts")
        outcome = _insert_one_by_one(connection, table, facts)
    else:
        outcome = added, len(facts) - added, []
    connection.execute("release facts")  # not after other errors: they end the transaction, the savepoint with it
    return outcome


def _insert_one_by_one(
    connection: sqlite3.Connection, table: Table, facts: Iterable[Call | ToolCall]
) -> tuple[int, int, list[Refused]]:
    added = already_there = 0
    refused: list[Refused] = []
    for fact in facts:
        try:
            inserted = connection.execute(table.insert, table.row_of(fact)).rowcount
        except LedgerError as error:
            refused.append(Refused(None, str(error)))
        except REFUSED as error:
            refused.append(Refused(None, str(table.refusal(fields_of(fact), error))))
        else:
            added += inserted
            already_there += 1 - inserted
    return added, already_there, refused
