"""The ledger: one SQLite file that many threads and processes write to at once."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent_ledger import (
    allocation,
    assigning,
    attribution,
    bill_settings,
    clock,
    compacting,
    plugins,
    pricebook,
    schema,
    spool,
)
from agent_ledger.capture.headers import call_fields
from agent_ledger.capture.live import LiveCapture
from agent_ledger.connection import Writer
from agent_ledger.control.governed import Governed
from agent_ledger.errors import InvalidRecord, LedgerError
from agent_ledger.hookspecs import Defaults, Importer, PriceSource
from agent_ledger.importing import Imported, import_files
from agent_ledger.price_lookup import look_up, look_up_new
from agent_ledger.prices.rules import validate
from agent_ledger.recording import CALLS, REFUSED, TOOL_CALLS, Table, fields_of
from agent_ledger.records import Assignment, Call, PriceRevision, Row, ToolCall
from agent_ledger.selecting import Selects
from agent_ledger.stamping import Stamper

_log = logging.getLogger("agent_ledger")
_CHUNK = 10_000
_CONTRACT_PRIORITY = 100


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a batch: rows that are new, and rows that were there already."""

    added: int
    already_there: int


class Ledger(Governed, LiveCapture):
    """A ledger file, made where there is none.

    `record_…` returns when the row is committed. One object serves all threads of a process; other processes open the
    file themselves. `synchronous` is "normal" (a committed row survives a crash of the process) or "full" (and a loss
    of power, at the price of a disk flush per commit).

    Raises NotALedger, with the file untouched, where it is something else or from a newer version.
    """

    def __init__(self, path: str | os.PathLike[str], *, synchronous: str = "normal") -> None:
        if synchronous not in ("normal", "full"):
            raise LedgerError(f'synchronous is {synchronous!r}: give "normal" or "full"')
        self.path = Path(path)
        self._writer = Writer(self.path, synchronous=synchronous)
        super().__init__(Stamper(self.path, synchronous=synchronous), self.path.absolute())
        try:
            spool.replay(self.path, self._stamper.writer().insert)  # which does not wait for long
        except (LedgerError, sqlite3.Error, OSError):
            _log.warning("The rows that were kept beside %s can't be brought in now", self.path, exc_info=True)
        look_up_new(self._writer)  # rows that others wrote in plain SQL, and models whose source failed
        self._writer.keep_up(steps=0)  # assignments that others wrote in plain SQL

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self._close_loop()
        self._stamper.close()
        self._directives.close()
        self._reservations.close()
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- recording ----------------------------------------------------------------------------------------------------

    def record_call(self, **fields: Any) -> bool:
        """Record one LLM inference; the fields are those of `agent_ledger.records.Call`.

        Returns True, or False where the ledger already has exactly this row (recorded again later, it is the same row).
        A row with the same request_id, response_id and part but other content is kept too; view `request_conflicts`
        shows both, one counts.
        Raises InvalidRecord, with nothing stored, for a bad value.
        """
        added = self._record(CALLS, fields)
        self._price(fields, lambda: self._writer)
        self._tell(CALLS, fields)
        return added

    def record_tool_call(self, **fields: Any) -> bool:
        """Record one tool call; the fields are those of `agent_ledger.records.ToolCall`.

        Returns True, or False where the ledger already has exactly this row. Without a tool_call_id every call is a new
        one. Raises InvalidRecord, with nothing stored, for a bad value.
        """
        added = self._record(TOOL_CALLS, fields)
        self._tell(TOOL_CALLS, fields)
        return added

    def record_headers(self, headers: Mapping[str, str], **fields: Any) -> bool:
        """Record one LLM call from the response headers of a gateway that counts tokens there.

        Reads `request-id`, `anthropic-input-tokens`, `anthropic-output-tokens` and `anthropic-model` (as some gateways
        add them; Anthropic itself sends only `request-id`), or Amazon Bedrock's `x-amzn-requestid` and
        `x-amzn-bedrock-…-token-count`, which need `model=`. `fields` win over headers; what they leave open is taken
        from the surrounding `attribute`.
        Returns and raises as `record_call`; InvalidRecord names the header that is missing. Tool calls that follow here
        belong to this call.
        """
        read = call_fields(headers, fields)
        added = self.record_call(**read)
        if read["request_id"] is not None:
            attribution.note_request(read["request_id"], attribution.current_run())
        return added

    def record_calls(self, calls: Iterable[Mapping[str, Any] | Call]) -> Recorded:
        """Record many inferences, one transaction per 10,000. Flat in memory; the iterable may be endless.

        Raises InvalidRecord for a bad row; then nothing of its 10,000 is stored, and what was before it is. Recording
        the corrected batch again adds only what is missing.
        """
        recorded = self._record_many(CALLS, calls)
        look_up_new(self._writer)
        return recorded

    def record_tool_calls(self, tool_calls: Iterable[Mapping[str, Any] | ToolCall]) -> Recorded:
        """Record many tool calls, like `record_calls`."""
        return self._record_many(TOOL_CALLS, tool_calls)

    def import_file(
        self,
        importer: Importer,
        file: Path,
        defaults: Defaults | None = None,
        advance: Callable[[int], None] = lambda _: None,
    ) -> Imported:
        """Bring one file in, in one transaction. Importing it again adds nothing.

        Raises ImportFailed where the file as a whole can't be read; then nothing of it is stored.
        """
        return self.import_files(importer, [file], defaults, advance)[0]

    def import_files(
        self,
        importer: Importer,
        files: Sequence[Path],
        defaults: Defaults | None = None,
        advance: Callable[[int], None] = lambda _: None,
    ) -> list[Imported]:
        """Bring in files that belong together, such as the parts of a bill's delivery, in one transaction.

        A bill is allocated to tool calls at once. Raises ImportFailed where one of the files can't be read; then
        nothing of any is stored.
        """
        with self._writer.transaction() as connection:
            imported = import_files(connection, importer, files, defaults or Defaults(), advance)
        look_up_new(self._writer)
        self._writer.keep_up()
        return imported

    def assign(
        self,
        agent_id: str,
        *,
        team: str | None = None,
        feature: str | None = None,
        owner: str | None = None,
        valid_from: object = None,
    ) -> Assignment:
        """Say to which team, feature and owner an agent belongs, from `valid_from` on (a date, a time, ISO text).

        What is not given stays as it was at that moment. `valid_from` None: since ever, for an agent without
        assignment; for others, from the present UTC day on. Returns what holds from then on. Raises InvalidRecord and
        LedgerError.
        """
        with self._writer.transaction() as connection:
            return assigning.assign(
                connection, agent_id, team=team, feature=feature, owner=owner, valid_from=valid_from
            )

    # -- bills --------------------------------------------------------------------------------------------------------

    def allocate(self) -> None:
        """Allocate the bills to tool calls anew. Importing a bill does it already; tool calls may come later."""
        with self._settings():
            pass

    def set_rule(self, name: str, *, method: str, **columns: Any) -> None:
        """Say which lines of bills go to which tool calls: `columns` are those of `allocation_rule`.

        A rule of the same name is replaced. Raises InvalidRecord.
        """
        with self._settings() as connection:
            bill_settings.add_rule(connection, name=name, method=method, **columns)

    def set_exchange_rate(self, currency: str, usd: object, *, effective_from: object = None) -> None:
        """Say what one unit of `currency` is worth in US dollars, from a moment on; None: since ever.

        Raises InvalidRecord.
        """
        with self._settings() as connection:
            bill_settings.add_exchange_rate(connection, currency, usd, effective_from)

    def set_tool_price(
        self,
        tool: str,
        price: object,
        *,
        server: str | None = None,
        unit: str | None = None,
        effective_from: object = None,
        effective_to: object = None,
    ) -> None:
        """Say what a call of a tool costs in US dollars, or a unit of what its calls count. Raises InvalidRecord."""
        with self._settings() as connection:
            bill_settings.add_tool_price(
                connection,
                tool,
                price,
                server=server,
                unit=unit,
                effective_from=effective_from,
                effective_to=effective_to,
            )

    def set_sharing(self, method: str, shares: Mapping[str, object] | None = None) -> None:
        """Say how the rest of the bills is shared over agents: even, proportional, fixed (by weights) or none.

        Direct cost stays as it is. Raises InvalidRecord.
        """
        with self._writer.transaction() as connection:
            bill_settings.add_sharing_rule(connection, method, shares)

    @contextmanager
    def _settings(self) -> Iterator[sqlite3.Connection]:
        """A transaction that ends with a new allocation."""
        with self._writer.transaction() as connection:
            yield connection
            allocation.allocate(connection)

    # -- prices -------------------------------------------------------------------------------------------------------

    def sync_prices(self, sources: Sequence[PriceSource] | None = None) -> list[pricebook.Answer]:
        """Ask the price sources about every model in the ledger, and store what is new. Nothing is ever removed.

        `sources` None: all registered ones. A source that fails or is refused leaves its earlier prices in force; the
        answer says why.
        """
        asked = plugins.price_sources() if sources is None else list(sources)
        with reading(self.path) as connection:
            models = sorted({(key.provider, key.model) for key in pricebook.keys(connection)})
        return look_up(self._writer, asked, models, everything=True)

    def set_prices(self, rows: Sequence[PriceRevision], *, free: bool = False) -> None:
        """Store prices that the user knows: they win over every list price. `free` allows $0.

        Raises InvalidPrice, with nothing stored.
        """
        validate(rows, free=free)
        with self._writer.transaction() as connection:
            now = clock.now()
            pricebook.store(connection, [replace(row, priority=_CONTRACT_PRIORITY) for row in rows], now)
            pricebook.rebuild(connection, pricebook.keys(connection), now)

    # -- reading ------------------------------------------------------------------------------------------------------

    def rows(self, view: str, *, as_of: object = None, **equal: Any) -> list[Row]:
        """The rows of a view or table, as dicts; keyword arguments keep only rows whose column equals the value.

        `as_of` (a time) gives the figures with the prices that were known to this ledger at that moment.
        """
        with reading(self.path, as_of=as_of) as connection:
            return select(connection, view, equal)

    # -- the file -----------------------------------------------------------------------------------------------------

    def compact(self, *, up_to: int | None = None, advance: Callable[[int], None] = lambda _: None) -> int:
        """Add the calls up to the ledger row `up_to` (None: all there are now) to the rollups. Returns how many.

        Views are exact whether compacted or not, and fast when they are. The library does it by itself as the ledger
        grows; others may write meanwhile. It may be killed at any time, and goes on where it was. `advance` is told of
        each step how many rows it took.
        """
        writer = Writer(self.path, synchronous="normal")  # a connection of its own: nobody waits for it here
        try:
            with writer.lock():
                return compacting.compact(writer.live(), up_to=up_to, advance=advance)
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path} can't be compacted: {error}") from error
        finally:
            writer.close()

    def replay(self) -> int:
        """Bring in the rows that live capture had to keep beside the file. Returns how many there were.

        Opening the ledger does it too. Rows that are already there are not added again.
        """
        return spool.replay(self.path, self._writer.insert)

    def _record(self, table: Table, fields: Mapping[str, Any]) -> bool:
        row = table.row(fields)
        try:
            return self._writer.insert(table, [row]) == 1
        except REFUSED as error:
            raise table.refusal(fields, error) from error

    def _record_many(self, table: Table, records: Iterable[Mapping[str, Any] | Call | ToolCall]) -> Recorded:
        rest = iter(records)
        added = total = 0
        while chunk := [fields_of(record) for record in islice(rest, _CHUNK)]:
            try:
                added += self._writer.insert(table, list(map(table.row, chunk)))
                for fields in chunk if self._listeners else ():
                    self._tell(table, fields)
            except REFUSED as error:
                raise _first_refusal(table, chunk, error) from error
            total += len(chunk)
        return Recorded(added=added, already_there=total - added)


@contextmanager
def reading(path: str | os.PathLike[str], *, as_of: object = None) -> Iterator[sqlite3.Connection]:
    """A connection that can only read: the views of this package, and the prices known at the moment `as_of`.

    Rows are `sqlite3.Row`. Where the file has older views the connection gets its own, and the file stays as it is.
    Raises NotALedger.
    """
    moment = None
    if as_of is not None:
        try:
            moment = clock.parse(as_of)
        except ValueError:
            raise InvalidRecord("as_of", as_of, "give a date or a time such as 2026-01-31T12:00:00Z") from None
    connection = schema.open_for_reading(Path(path))
    try:
        connection.row_factory = sqlite3.Row
        if moment is not None:
            pricebook.overlay(connection, pricebook.revisions(connection, moment))
        if moment is not None or not schema.views_are_current(connection):
            schema.overlay_views(connection)
        yield connection
    finally:
        connection.close()


def select(connection: Selects, view: str, equal: Mapping[str, Any]) -> list[Row]:
    """The rows of one view or table as dicts. Raises LedgerError for a name that does not exist."""
    columns = [name for name, _ in connection.execute("select name, type from pragma_table_info(?)", [view])]
    if not columns:
        raise LedgerError(f"there is no view or table {view!r}: there are {', '.join(sorted(schema.scripts('views')))}")
    for column in equal:
        if column not in columns:
            raise LedgerError(f"{view} has no column {column!r}: it has {', '.join(columns)}")
    condition = " and ".join(f'"{column}" is ?' for column in equal) or "true"
    found = connection.execute(f'select * from "{view}" where {condition}', list(equal.values()))
    return [dict(row) for row in found]


def _first_refusal(table: Table, chunk: Sequence[Mapping[str, Any]], error: Exception) -> LedgerError:
    for fields in chunk:
        refusal = table.refusal(fields, error)
        if isinstance(refusal, InvalidRecord):
            return refusal
    return LedgerError(f"a record was refused: {error}")
