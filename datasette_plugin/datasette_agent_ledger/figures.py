"""A figure of a page: what one statement answered, ready to be shown, with links to the rows behind it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from datasette_agent_ledger import showing
from datasette_agent_ledger.statements import Statement

Record = dict[str, Any]
Behind = Callable[[Record, str], str | None]
"""The link of a cell: of a row, and the column's name."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a figure."""

    name: str
    label: str
    kind: str  # see showing.kind_of


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as it is shown."""

    value: Any
    text: str
    kind: str
    href: str | None


class Rows(Sequence[list[Cell]]):
    """Records as cells, made when they are asked for: most of a chart's rows are never shown as a table."""

    def __init__(self, records: list[Record], columns: list[Column], behind: Behind) -> None:
        self._records, self._columns, self._behind = records, columns, behind
        self._digits: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self._row(record) for record in self._records[place]]
        return self._row(self._records[place])

    def _row(self, record: Record) -> list[Cell]:
        if not self._digits:
            names = (column.name for column in self._columns)
            self._digits = {name: showing.digits(one[name] for one in self._records) for name in names}
        return [self._cell(record, column) for column in self._columns]

    def _cell(self, record: Record, column: Column) -> Cell:
        value = record[column.name]
        text = showing.text(column.name, value, self._digits[column.name])
        return Cell(value, text, column.kind, self._behind(record, column.name))


@dataclass(frozen=True, slots=True)
class Figure:
    """One statement's answer. `problem` says why there is none; `records` and `rows` are empty then."""

    statement: Statement
    parameters: dict[str, Any]
    records: list[Record]
    columns: list[Column]
    rows: Sequence[list[Cell]]
    problem: str | None = None
    hidden: bool = False  # the viewer may not see what it shows
    sql_href: str | None = None
    csv_href: str | None = None
    json_href: str | None = None

    @property
    def name(self) -> str:
        return self.statement.name

    @property
    def title(self) -> str:
        return self.statement.title

    @property
    def note(self) -> str:
        return self.statement.note

    def shown(self, leave: Collection[str] = ()) -> list[int]:
        """The places of the columns to show: not those of `leave`, nor those of words that are empty in every row."""
        return [
            place
            for place, column in enumerate(self.columns)
            if column.name not in leave
            and (column.kind not in ("text", "time") or any(record[column.name] is not None for record in self.records))
        ]

    @property
    def first(self) -> Record:
        """The only row; empty where there is none."""
        return self.records[0] if self.records else {}


def answered(
    statement: Statement, parameters: dict[str, Any], names: list[str], found: list[Any], behind: Behind
) -> Figure:
    """The figure of a statement's rows."""
    records = [dict(zip(names, row, strict=True)) for row in found]
    columns = [Column(name, showing.label(name), showing.kind_of(name)) for name in names]
    return Figure(statement, parameters, records, columns, Rows(records, columns, behind))
