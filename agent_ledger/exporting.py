"""Views as files for other tools: CSV, gzip and Parquet, and the FOCUS view with exact decimals.

Rows stream: nothing is held but one batch. A file that is there is replaced when the new one is whole, not before.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TextIO

from agent_ledger import money
from agent_ledger.errors import LedgerError
from agent_ledger.records import Row
from agent_ledger.schema import scripts
from agent_ledger.selecting import Selects

Kind = Literal["text", "integer", "real", "money", "quantity", "time"]
"""What a column holds. money: a Decimal of twelve decimals at most; quantity: any; time: YYYY-MM-DDTHH:MM:SSZ."""

TEXT: Final[Kind] = "text"

_BATCH: Final = 10_000
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet compute a cell instead of showing it
_TIMES: Final = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
_COSTS: Final = ("BilledCost", "ListCost", "ContractedCost")
_UNIT_PRICES: Final = ("ListUnitPrice", "ContractedUnitPrice")
_SAME: Final = (  # what tells the FOCUS rows of calls apart, and all else follows from, but for _ADDED
    *("ChargePeriodStart", "x_AgentId", "x_Team", "x_Feature", "x_CustomerId", "ProviderName", "x_Model"),
    *("x_ServiceTier", "RegionId", "x_TokenType", "x_CostSource", "x_PriceSource", "x_UnitPicos", "x_Server", "x_Tool"),
)
_ADDED: Final = ("PricingQuantity", "ConsumedQuantity", "x_AuditCalls", "x_BilledPicos")
_INSIDE: Final = ("x_BilledPicos", "x_UnitPicos")  # the same amounts as integers, which the decimals are made from


@dataclass(frozen=True, slots=True)
class Export:
    """Columns with their kinds, and rows, to be read once."""

    columns: Mapping[str, Kind]
    rows: Iterator[Sequence[Any]]


def view(connection: Selects, name: str) -> Export:
    """A view or a table as it is. Raises LedgerError for a name that does not exist."""
    declared = connection.execute("select name, type from pragma_table_info(?)", [name]).fetchall()
    if not declared:
        raise LedgerError(f"there is no view or table {name!r}: there are {', '.join(sorted(scripts('views')))}")
    columns = {column: _kind(connection, name, column, kind) for column, kind in declared}
    return Export(columns, iter(connection.execute(f'select * from "{name}"')))


def focus(connection: Selects, *, since: str | None = None, until: str | None = None) -> Export:
    """The view `focus` with exact decimals, of charges that begin on the day `since` or later, and before `until`.

    Rows that differ in amounts only are one, so that they are the same before and after compacting: first those of LLM
    calls by day, then those of tools, then those of bills.
    """
    names = [name for name, _ in connection.execute("select name, type from pragma_table_info(?)", ["focus"])]
    makers = {column: _maker(column) for column in names if column not in _INSIDE}
    kinds = {column: _focus_kind(column) for column in makers}
    found = _focus_rows(connection, names, since or "", until or "~")
    rows = (dict(zip(names, row, strict=True)) for row in found)
    return Export(kinds, ([make(row) for make in makers.values()] for row in rows))


def _focus_rows(connection: Selects, names: Sequence[str], since: str, until: str) -> Iterator[tuple[Any, ...]]:
    within = "ChargePeriodStart >= ? and ChargePeriodStart < ?"
    # What else is in a row follows from what tells it apart.
    added = ", ".join(f"sum({name})" if name in _ADDED else name if name in _SAME else f"max({name})" for name in names)
    same = ", ".join(_SAME)
    grouped = f"select {added} from focus where {{0}} is not null and {within} group by {same} order by {same}"
    # Day by day there is never much to sort.
    for first, end in _days(connection, since, until):
        yield from connection.execute(grouped.format("x_Model"), (first, end))
    yield from connection.execute(grouped.format("x_Tool"), (since, until))
    billed = f"select {', '.join(names)} from focus where x_Model is null and x_Tool is null and {within}"
    yield from connection.execute(f"{billed} order by {', '.join(names)}", (since, until))


def _days(connection: Selects, since: str, until: str) -> Iterator[tuple[str, str]]:
    """The days that have LLM calls, as bounds of their timestamps; all at once where most calls are not compacted."""
    recorded, rolled = connection.execute(
        "select coalesce((select max(id) from ledger), 0), ledger_row from compacted"
    ).fetchone()
    if rolled < recorded / 2:
        yield since, until
        return
    found = connection.execute(
        "select distinct substr(bucket, 1, 10) as day from usage_cost"
        " where grain in ('day', 'call') and bucket >= ? and bucket < ? order by day",
        (since, until),
    ).fetchall()
    for (day,) in found:
        yield day, f"{day}~"


def missing(connection: Selects, *, since: str | None = None, until: str | None = None) -> dict[tuple[str, str], int]:
    """How many calls, tool calls and charges of that time are in no FOCUS row, by what they are and what they lack."""
    counts = {
        ("call", "a price"): "select sum(calls) from usage_cost"
        " where grain in ('day', 'call') and cost_picos is null and bucket >= ? and bucket < ?",
        ("tool call", "a cost"): "select sum(uncosted_calls) from tool_usage_cost"
        " where grain in ('day', 'call') and bucket >= ? and bucket < ?",
        ("charge", "an exchange rate"): "select count(*) from unallocated_charge"
        " where cost_picos is null and period_start >= ? and period_start < ?",
    }
    return {
        what: connection.execute(sql, (since or "", until or "~")).fetchone()[0] or 0 for what, sql in counts.items()
    }


def harmless(value: object) -> object:
    """A CSV cell; text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def write_csv(export: Export, file: BinaryIO) -> int:
    """UTF-8 with a header; exact numbers always have a point. Returns the number of rows."""
    count = 0
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        writer = csv.writer(_Lines(text), lineterminator="\r\n")
        writer.writerow(export.columns)
        for row in export.rows:
            writer.writerow([_plain(value) if type(value) is Decimal else harmless(value) for value in row])
            count += 1
        text.flush()
    finally:
        text.detach()  # the file is the caller's
    return count


class _Lines:
    """Ends lines with LF that come with CR LF: before Python 3.13 csv quotes no other line ends than its own."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        return self._file.write(f"{line[:-2]}\n")


def write_gzip(export: Export, file: BinaryIO) -> int:
    """CSV, compressed; the same rows make the same bytes. Returns the number of rows."""
    with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
        return write_csv(export, packed)  # type: ignore[arg-type]


def write_parquet(export: Export, file: BinaryIO) -> int:
    """Parquet, by pyarrow: money as decimals, times as timestamps. Returns the number of rows."""
    try:
        pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise LedgerError("Parquet needs pyarrow: pip install 'agent-cost-ledger[parquet]', or write .csv") from None
    types = {
        "text": pyarrow.string(),
        "integer": pyarrow.int64(),
        "real": pyarrow.float64(),
        "money": pyarrow.decimal128(38, 12),
        "quantity": pyarrow.float64(),
        "time": pyarrow.timestamp("s", "UTC"),
    }
    schema = pyarrow.schema([(name, types[kind]) for name, kind in export.columns.items()])
    count = 0
    with parquet.ParquetWriter(file, schema) as writer:
        while batch := list(islice(export.rows, _BATCH)):
            arrays = [
                _array(pyarrow, list(cells), kind, types[kind])
                for cells, kind in zip(zip(*batch, strict=True), export.columns.values(), strict=True)
            ]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))
            count += len(batch)
    return count


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which becomes `path` at the end; where anything is raised, `path` stays as it was."""
    target = path.resolve()  # a link stays a link
    if target.is_dir():
        raise LedgerError(f"{path} is a folder: give the path of a file")
    if not target.parent.is_dir():
        raise LedgerError(f"there is no folder {path.parent}: make it first")
    if target.exists() and not target.is_file():  # a pipe or a device
        with target.open("wb") as file:
            yield file
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _kind(connection: Selects, name: str, column: str, declared: str) -> Kind:
    if not declared:  # SQLite before 3.41 does not tell the type of an expression
        found = connection.execute(f'select typeof("{column}") from "{name}" where "{column}" is not null limit 1')
        declared = (found.fetchone() or ("text",))[0]
    lower = declared.lower()
    return "integer" if lower.startswith("int") else "real" if lower == "real" else "text"


def _focus_kind(column: str) -> Kind:
    if column in _TIMES:
        return "time"
    if column in (*_COSTS, *_UNIT_PRICES, "EffectiveCost", "PricingQuantity"):
        return "money"
    return "quantity" if column == "ConsumedQuantity" else "integer" if column == "x_AuditCalls" else "text"


def _maker(column: str) -> Callable[[Row], Any]:
    """How a column of the file is made from a row of the view."""
    if column in _COSTS:
        return lambda row: money.dollars(row["x_BilledPicos"])
    if column in _UNIT_PRICES:
        return lambda row: None if row["x_UnitPicos"] is None else money.dollars(row["x_UnitPicos"])
    if column == "EffectiveCost":
        return lambda row: money.dollars(0 if row["ChargeCategory"] == "Purchase" else row["x_BilledPicos"])
    if column == "PricingQuantity":
        return _pricing_quantity
    if column == "ConsumedQuantity":
        return _consumed_quantity
    return lambda row: row[column]


def _pricing_quantity(row: Row) -> Decimal | None:
    if row["PricingUnit"] == "USD":
        return money.dollars(row["x_BilledPicos"])
    return None if row["PricingQuantity"] is None else Decimal(int(row["PricingQuantity"]))


def _consumed_quantity(row: Row) -> Decimal | None:
    if row["x_TokenType"] == "units":
        return money.dollars(row["x_BilledPicos"])
    return None if row["ConsumedQuantity"] is None else money.decimal(row["ConsumedQuantity"])


def _plain(number: Decimal) -> str:
    """With a point, so that no reader takes a column of whole numbers for integers; without an exponent."""
    whole, _, rest = format(number, "f").partition(".")
    return f"{whole}.{rest.rstrip('0') or '0'}"


def _array(pyarrow: Any, cells: list[Any], kind: Kind, to: Any) -> Any:
    if kind == "quantity":
        cells = [None if cell is None else float(cell) for cell in cells]
    if kind == "time":
        return pyarrow.array([cell and cell.removesuffix("Z") for cell in cells]).cast(pyarrow.timestamp("s")).cast(to)
    return pyarrow.array(cells, to)
