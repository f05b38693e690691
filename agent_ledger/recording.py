"""From fields to rows: what `record_call` and its siblings put into the tables.

The tables' constraints and triggers do the checking, because they do it for everybody and fast. Only when they refuse,
or a value has a type that SQLite would quietly change, is a record looked at field by field.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sqlite3
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final

from agent_ledger import clock
from agent_ledger.errors import InvalidRecord, LedgerError
from agent_ledger.records import Call, ToolCall
from agent_ledger.validation import check

_NEEDED_TEXTS: Final = ("agent_id", "model", "tool")
_PLAIN: Final = frozenset((str, int, type(None)))
_CANONICAL: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII).fullmatch


class Table:
    """How facts of one kind become rows of their table."""

    def __init__(self, name: str, kind: type[Call] | type[ToolCall], made_id: str) -> None:
        self.name = name
        self._kind = kind
        self._made_id = made_id  # the id that is made where the caller gives none
        self._empty: dict[str, Any] = {
            field.name: None if field.default is dataclasses.MISSING else field.default
            for field in dataclasses.fields(kind)
        }
        columns = list(self._empty)
        self._values = attrgetter(*columns)
        self._required = {field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING}
        self._sound_types: set[tuple[type, ...]] = set()  # of rows that were looked at field by field
        self.insert = f"insert into {name} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})"

    def row(self, fields: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values to insert. Raises InvalidRecord for what SQLite would not refuse, or not clearly."""
        record = self.filled(fields)
        values = tuple(record.values())
        if len(record) != len(self._empty) or not self._required <= fields.keys() or not self._is_sound(values):
            return self._careful_row(record, fields)
        return values

    def row_of(self, fact: Call | ToolCall) -> tuple[Any, ...]:
        """The values to insert for a fact. Raises InvalidRecord like `row`, which does the same for a mapping."""
        values: tuple[Any, ...] = self._values(fact)
        if (
            fact.ts is not None
            and getattr(fact, self._made_id) is not None
            and self._is_sound(values)
            and _CANONICAL(fact.ts)
        ):
            return values
        return self.row(fields_of(fact))

    def _is_sound(self, values: tuple[Any, ...]) -> bool:
        """Is there nothing in the row that SQLite would change or cut instead of refusing it?"""
        return tuple(map(type, values)) in self._sound_types and "\0" not in "".join(
            [value for value in values if type(value) is str]
        )

    def filled(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """All columns, with an id and a time where the caller gives none. Raises InvalidRecord for a wrong time."""
        record: dict[str, Any] = self._empty | fields  # type: ignore[operator]  # any Mapping merges into a dict
        if record[self._made_id] is None:
            record[self._made_id] = clock.sortable_id()
        ts = record["ts"]
        if ts is None:
            record["ts"] = clock.now()
        elif type(ts) is not str or not _CANONICAL(ts):
            record["ts"] = _time(ts)
        return record

    def _careful_row(self, record: dict[str, Any], fields: Mapping[str, Any]) -> tuple[Any, ...]:
        for name in fields:
            if name not in self._empty:
                raise InvalidRecord(name, fields[name], f"there is no such field; there are {', '.join(self._empty)}")
        for name in self._empty:
            if name in self._required and name not in fields:
                raise InvalidRecord(name, None, "it is required")
        record["ts"] = _time(record["ts"])  # a time that looks right may still be 30 February
        check(self._kind(**record))
        types = tuple(map(type, record.values()))
        if _PLAIN.issuperset(types):  # others have values that SQLite would change, so each of them is looked at
            self._sound_types.add(types)
        if record.get("usage") is not None:
            record["usage"] = json.dumps(dict(record["usage"]), sort_keys=True)
        return tuple(record.values())

    def without(self, record: Mapping[str, Any], field: str) -> dict[str, Any]:
        """The record without a value that may not enter the ledger: the column's own default instead, or "(invalid)"
        where the column needs a text."""
        kept = {name: value for name, value in record.items() if name in self._empty}
        if field in kept:
            kept[field] = "(invalid)" if field in _NEEDED_TEXTS else self._empty[field]
        return kept

    def refusal(self, fields: Mapping[str, Any], error: Exception) -> LedgerError:
        """Why SQLite refused a record, as an error that names the field."""
        try:
            self._careful_row(self.filled(fields), fields)
        except LedgerError as found:
            return found
        return LedgerError(f"the record was refused: {error}")


REFUSED: Final = (sqlite3.IntegrityError, OverflowError, UnicodeEncodeError)
"""What SQLite raises where a record, and not the file, is the trouble."""


def _time(value: object) -> str:
    try:
        return clock.parse(value)
    except ValueError:
        raise InvalidRecord("ts", value, "give an ISO 8601 time, a datetime, or Unix seconds") from None


CALLS: Final = Table("ledger", Call, "request_id")
TOOL_CALLS: Final = Table("audit", ToolCall, "tool_call_id")


def fields_of(record: Mapping[str, Any] | Call | ToolCall) -> Mapping[str, Any]:
    """A record as a mapping from column to value."""
    if isinstance(record, Call | ToolCall):
        return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    return record
