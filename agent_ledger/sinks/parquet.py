"""Ship to a folder of Parquet files, divided by day: TABLE/day=YYYY-MM-DD/HOST-FIRST-LAST.parquet.

A file's name says which rows of which host it holds, so a batch that is sent again finds its files or writes them
again, and each gets its name only when it is on the disk: every row is there once, whatever was killed when. What is
sent as a whole is one file per host, TABLE/HOST.parquet; the rates, which follow from the prices of all hosts, are one
for all. Each table has a file without rows that says its columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from agent_ledger import archive_files, clock, pricebook, shipped
from agent_ledger.errors import LedgerError, SinkDown
from agent_ledger.hookspecs import Batch, Host, Sink, Target, hookimpl
from agent_ledger.pricing import RateKey
from agent_ledger.shipped import SHIPPED, SNAPSHOTS

_DAYS: Final = {table.name: table.day for table in SHIPPED}
_TABLE: Final = {table.far_name or table.name: table.name for table in SNAPSHOTS} | {name: name for name in _DAYS}
_FORMAT: Final = "agent-ledger.txt"  # what tells our folder from another


class Parquet:
    """A folder of files."""

    name = "Parquet"
    form = "FOLDER/"
    batch_rows = 100_000

    def accepts(self, destination: str) -> bool:
        return "://" not in destination and (destination.endswith(("/", "\\")) or Path(destination).is_dir())

    def address(self, destination: str) -> str:
        return str(Path(destination).absolute())

    def open(self, destination: str, host: Host) -> Target:
        archive_files.needs()
        folder = Path(destination)
        try:
            there = [entry.name for entry in folder.iterdir()] if folder.exists() else []
            if there and _FORMAT not in there:
                raise LedgerError(f"{folder} has other files in it: give an empty folder, or one that does not exist")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / _FORMAT).write_text(
                "Tables of agent-ledger, one folder each; see `agent-ledger views`.\n", "utf-8"
            )
        except OSError as error:
            raise LedgerError(f"{folder} can't be used: {error.strerror}") from error
        target = _Folder(folder, host)
        target.prepare()
        return target


class _Folder:
    def __init__(self, folder: Path, host: Host) -> None:
        self._folder = folder
        self._host = host
        self._known: dict[str, set[tuple[int, int]]] = {}  # which rows of this host there are, by table

    def prepare(self) -> None:
        """Make the files that say the columns of tables."""
        for far_name, table in _TABLE.items():
            day = "" if _DAYS.get(table) is None else "day=1970-01-01"
            path = self._folder / far_name / day / "columns.parquet"
            if not path.exists():
                self._put(path, far_name, tuple(shipped.far_columns(table)), [])

    def write(self, batch: Batch) -> None:
        self._see_that_it_is_new(batch)
        name = f"{self._host.number}-{batch.first}-{batch.last}.parquet"
        day = _DAYS[batch.table]
        if day is None:
            self._put(self._folder / batch.table / name, batch.table, batch.columns, batch.rows)
            return
        at = batch.columns.index(day)
        for key, rows in groupby(sorted(batch.rows, key=lambda row: row[at]), key=lambda row: row[at][:10]):
            self._put(self._folder / batch.table / f"day={key}" / name, batch.table, batch.columns, list(rows))

    def replace(self, batch: Batch) -> None:
        self._put(self._folder / batch.table / f"{self._host.number}.parquet", batch.table, batch.columns, batch.rows)

    def settle(self) -> None:
        """Work out the rates anew, from the prices and the keys of all hosts."""
        prices = self._rows("price_revision")
        keys = {RateKey(*(row[name] for name in ("model", "provider", "service_tier", "region")))
                for row in self._rows("host_rate_key")}  # fmt: skip
        rates, reasons = pricebook.rates(prices, keys)
        now = clock.now()
        self._put(self._folder / "rate" / "all.parquet", "rate", pricebook.RATE_COLUMNS, rates)
        keyed = [(*row[:4], now, row[4]) for row in reasons]
        self._put(self._folder / "rate_key" / "all.parquet", "rate_key", tuple(shipped.columns("rate_key")), keyed)

    def close(self) -> None:
        pass

    def _see_that_it_is_new(self, batch: Batch) -> None:
        """Batches of one ledger do not overlap, unless there are two of it. Raises LedgerError."""
        known = self._known.get(batch.table)
        if known is None:
            names = (
                path.stem.split("-") for path in (self._folder / batch.table).rglob(f"{self._host.number}-*.parquet")
            )
            known = self._known[batch.table] = {(int(first), int(last)) for _, first, last in names}
        same = (batch.first, batch.last)
        others = any(first <= batch.last and last >= batch.first for first, last in known - {same})
        if others or (same in known and not self._has(batch)):
            raise LedgerError(
                f"{self._folder} has rows of {batch.table} of this ledger with other content: the file is a copy of"
                " another ledger, or comes from a backup; --as-new ships all of it as of another host"
            )
        known.add(same)

    def _has(self, batch: Batch) -> bool:
        """Are the rows that are there those of the batch?"""
        found = self._rows(batch.table, f"{self._host.number}-{batch.first}-{batch.last}.parquet")
        return {tuple(row[name] for name in batch.columns) for row in found} <= set(batch.rows)

    def _rows(self, table: str, pattern: str = "*.parquet") -> list[dict[str, Any]]:
        parquet = import_module("pyarrow.parquet")
        with self._explained():
            files = sorted((self._folder / table).rglob(pattern))
            return [row for file in files for row in parquet.ParquetFile(file).read().to_pylist()]

    def _put(self, path: Path, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        kinds = {**shipped.far_columns(_TABLE.get(table, table))}
        part = path.with_name(f".{path.name}.{clock.sortable_id()}.part")
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                archive_files.write(part, {name: kinds[name] for name in columns}, _groups(rows))
                archive_files.publish(part, path)
            finally:
                part.unlink(missing_ok=True)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SinkDown(f"{self._folder} can't be written now: {error.strerror or error}") from error


def _groups(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    for start in range(0, len(rows), archive_files.GROUP):
        yield rows[start : start + archive_files.GROUP]


@hookimpl
def register_sinks(register: Any) -> None:
    """Offer this sink."""
    sink: Sink = Parquet()
    register(sink)
