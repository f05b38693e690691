"""What answers a SELECT: a connection to a ledger file, or what takes the same statements and gives the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol


class Found(Protocol):
    """What a statement found: rows that are tuples, and dicts by the names of their columns."""

    @property
    def description(self) -> Any:
        """One tuple per column; it begins with the name."""

    def fetchone(self) -> Any:
        """The next row. None: there is no other."""

    def fetchall(self) -> list[Any]:
        """All that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Selects(Protocol):
    """Something that answers SELECT statements in the words of SQLite, over the canonical views."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Found:
        """Ask. Parameters are a sequence for `?`, or a mapping for `:name`."""


class Row(tuple[Any, ...]):
    """A row that knows the names of its columns, as sqlite3.Row does."""

    names: Sequence[str]

    def keys(self) -> Sequence[str]:
        """The names of the columns: with them a row can be made a dict."""
        return self.names

    def __getitem__(self, key: Any) -> Any:
        return tuple.__getitem__(self, self.names.index(key) if isinstance(key, str) else key)


class Rows:
    """Rows that are read once, in order."""

    def __init__(self, names: Sequence[str] = (), rows: Iterable[Sequence[Any]] = ()) -> None:
        kind = type("Row", (Row,), {"names": tuple(names)})
        self.description = [(name,) for name in names]
        self._rest: Iterator[Row] = (kind(row) for row in rows)

    def fetchone(self) -> Row | None:
        """The next row. None: there is no other."""
        return next(self._rest, None)

    def fetchall(self) -> list[Row]:
        """All that are left."""
        return list(self._rest)

    def __iter__(self) -> Iterator[Row]:
        return self._rest
