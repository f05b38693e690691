"""The rows of a batch: tuples for whoever asks for them, or lines of text, which SQLite writes several times faster.

Lines are what PostgreSQL's COPY reads in its text format: cells between tabs, rows between newlines. A row is a handful
of Python objects then, not one for each cell. Nothing is read before it is asked for, and no statement stays open while
a sink is waited for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final, overload

from agent_ledger import shipped
from agent_ledger.shipped import Shipped

_PIECE: Final = 2_000  # rows
_MARKS: Final = {"ledger": "superseded_call", "audit": "superseded_tool_call"}  # which of their rows do not count


class Rows(Sequence[tuple[Any, ...]]):
    """Rows of a table after `done`, up to `last`, as they stand at the far side of host `number`."""

    def __init__(self, connection: sqlite3.Connection, table: Shipped, number: int, done: int, last: int) -> None:
        self._connection = connection
        self._table = table
        self._told = {"number": number, "done": done, "last": last}
        self._within = f'where "{table.cursor}" > :done and "{table.cursor}" <= :last'
        self._found: list[tuple[Any, ...]] | None = None

    def __len__(self) -> int:
        if self._found is not None:
            return len(self._found)
        (count,) = self._one(f'select count(*) from "{self._table.name}" {self._within}')
        return int(count)

    @overload
    def __getitem__(self, at: int) -> tuple[Any, ...]: ...
    @overload
    def __getitem__(self, at: slice) -> list[tuple[Any, ...]]: ...
    def __getitem__(self, at: int | slice) -> tuple[Any, ...] | list[tuple[Any, ...]]:
        return self._all()[at]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._all())

    def months(self) -> frozenset[str]:
        """YYYY-MM of all rows, where the table is divided by time."""
        if self._table.day is None:
            return frozenset()
        found = self._connection.execute(
            f'select distinct substr("{self._table.day}", 1, 7) from "{self._table.name}" {self._within}', self._told
        )
        return frozenset(month for (month,) in found)

    def alike(self) -> list[int] | None:
        """Ids at the far side of rows that do not count, where they or what counts instead are among these.

        None: nobody knows, because of archived rows the ledger is not asked.
        """
        marks = _MARKS.get(self._table.name)
        recalled = "select exists (select 1 from temp.sqlite_schema where name = :marks)"
        if marks is None or self._connection.execute(recalled, {"marks": marks}).fetchone()[0]:
            return None
        found = self._connection.execute(
            f"select id from {marks} where id > :done and id <= :last"
            f" union select id from {marks} where by_id > :done and by_id <= :last",
            self._told,
        )
        return [self._told["number"] << shipped.ROW_BITS | own for (own,) in found]

    def has_lines(self) -> bool:
        """Can nothing stand for NULL, because no text is empty?"""
        if self._table.except_in is None:
            return self._table.never_empty
        found = self._one(
            f'select exists (select 1 from "{self._table.name}" {self._within} and "{self._table.except_in}" = \'\')'
        )
        return not found[0]

    def lines(self) -> Iterator[str]:
        """The rows as text, in pieces that end with a newline; NULL is nothing. Only where there are lines."""
        order = f'order by "{self._table.cursor}"'
        tabs = len(shipped.far_columns(self._table.name)) - 1
        done, last = self._told["done"], self._told["last"]
        while done < last:
            (end,) = self._one(
                f'select max("{self._table.cursor}") from (select "{self._table.cursor}" from "{self._table.name}"'
                f" {self._within} {order} limit {_PIECE})",
                done=done,
            )
            if end is None:
                return
            told = {**self._told, "done": done, "last": end}
            found = self._connection.execute(f"{shipped.lines(self._table)} {self._within} {order}", told).fetchall()
            text = _joined(found)
            if "\\" in text or "\r" in text or text.count("\t") != tabs * len(found) or text.count("\n") != len(found):
                rows = self._connection.execute(f"{shipped.selection(self._table)} {self._within} {order}", told)
                text = copy_text(rows.fetchall(), null="")
            yield text
            done = end

    def _all(self) -> list[tuple[Any, ...]]:
        if self._found is None:
            self._found = self._connection.execute(
                f'{shipped.selection(self._table)} {self._within} order by "{self._table.cursor}"', self._told
            ).fetchall()
        return self._found

    def _one(self, sql: str, **told: int) -> Any:
        return self._connection.execute(sql, {**self._told, **told}).fetchone()


def copy_text(rows: Sequence[tuple[Any, ...]], *, null: str = r"\N") -> str:
    """Rows as PostgreSQL's COPY reads them: column by column, which is several times faster than cell by cell."""
    columns = [_cells(column, null) for column in zip(*rows, strict=True)]
    return "\n".join(map("\t".join, zip(*columns, strict=True))) + "\n"


def _joined(rows: Sequence[tuple[Any, ...]]) -> str:
    """What `shipped.lines` found: texts of several cells, and numbers."""
    columns = (column if isinstance(column[0], str) else _numbers(column, "") for column in zip(*rows, strict=True))
    return "\n".join(map("\t".join, zip(*columns, strict=True))) + "\n"


def _cells(column: Sequence[Any], null: str) -> Sequence[str]:
    """A column has values of one type, or none."""
    kinds = set(map(type, column))
    if str not in kinds:
        return _numbers(column, null)
    text = "".join(filter(None, column))
    if any(sign in text for sign in "\\\t\n\r"):
        column = [value if value is None else _escaped(value) for value in column]
    return column if len(kinds) == 1 else [null if value is None else value for value in column]


def _numbers(column: Sequence[Any], null: str) -> tuple[str, ...]:
    missing = column.count(None)
    if missing == len(column):
        return (null,) * missing
    return tuple([null if value is None else repr(value) for value in column] if missing else map(repr, column))


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")
