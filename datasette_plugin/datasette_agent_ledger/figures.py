"""A figure of a page: what one statement answered, ready to be shown, with links to the rows behind it."""

from __future__ import annotations

from collections.abc import Callable, Collection
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


@dataclass(frozen=True, slots=True)
class Figure:
    """One statement's answer. `problem` says why there is none; `records` and `rows` are empty then."""

    statement: Statement
    parameters: dict[str, Any]
    records: list[Record]
    columns: list[Column]
    rows: list[list[Cell]]
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
            and (column.kind not in ("text", "time") or any(row[place].value is not None for row in self.rows))
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
    digits = {name: showing.digits(record[name] for record in records) for name in names}
    rows = [
        [
            Cell(
                record[column.name],
                showing.text(column.name, record[column.name], digits[column.name]),
                column.kind,
                behind(record, column.name),
            )
            for column in columns
        ]
        for record in records
    ]
    return Figure(statement, parameters, records, columns, rows)
