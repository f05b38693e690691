"""Calls and tool calls under our own column names: `jsonl`, one object per line, and `csv`, with a header.

A row with a `tool` and no `model` is a tool call. Nothing is guessed: an unknown column is refused, and so is a number
that is not plainly written.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from agent_ledger.errors import ImportFailed, InvalidRecord
from agent_ledger.hookspecs import Defaults, Importer, hookimpl
from agent_ledger.importers import columns, fields, lines
from agent_ledger.records import Call, Fact, Refused, ToolCall
from agent_ledger.validation import is_amount_field, is_count_field

_CALL = tuple(field.name for field in dataclasses.fields(Call))
_TOOL_CALL = tuple(field.name for field in dataclasses.fields(ToolCall))
_KNOWN = (*_CALL, *(name for name in _TOOL_CALL if name not in _CALL))
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}([,.'’_\s][0-9]{3})+")


class JsonLines:
    """Reads one record per line."""

    name = "jsonl"
    summary = "JSONL under our own column names, one call or tool call per line"

    def files(self, path: Path) -> Sequence[Path]:
        """The file itself, or all JSONL below a folder."""
        return lines.found(path, (".jsonl", ".jsonl.gz"))

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:
        """A fact per line."""
        with closing(fields.Occurrences()) as occurrences:
            for item in lines.objects(file, advance):
                if isinstance(item, Refused):
                    yield item
                else:
                    number, record = item
                    yield from _facts(number, record, defaults, occurrences)


class Csv:
    """Reads a table with a header; commas, semicolons or tabs between the cells, an empty cell is NULL."""

    name = "csv"
    summary = "CSV with a header of our own column names, one call or tool call per row"

    def files(self, path: Path) -> Sequence[Path]:
        """The file itself, or all CSV below a folder."""
        return lines.found(path, (".csv", ".csv.gz"))

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:
        """A fact per row."""
        with closing(fields.Occurrences()) as occurrences, lines.opened(file, advance) as reader:
            header: list[str] | None = None
            for number, cells in columns.csv_rows(reader):
                if header is None:
                    header = _header(file, cells)
                elif isinstance(cells, str):
                    yield Refused(number, cells)
                elif len(cells) != len(header):
                    yield Refused(number, f"the row has {len(cells)} cells, the header has {len(header)}.")
                else:
                    record = {name: cell.strip() or None for name, cell in zip(header, cells, strict=True)}
                    yield from _facts(number, record, defaults, occurrences, from_text=True)


def _header(file: Path, cells: list[str] | str) -> list[str]:
    if isinstance(cells, str):
        raise ImportFailed(f"{file} has no header that can be read: {cells}")
    names = [cell.strip() for cell in cells]
    known = f"the columns are {', '.join(_KNOWN)}."
    for name in names:
        if name not in _KNOWN:
            raise ImportFailed(f"{file} has a column {fields.shown(name)}, which is unknown: {known}")
        if names.count(name) > 1:
            raise ImportFailed(f"{file} has two columns {name}: leave one.")
    if "model" not in names and "tool" not in names:
        raise ImportFailed(f"{file} has neither a column model nor tool: {known}")
    return names


def _facts(
    number: int,
    record: Mapping[str, Any],
    defaults: Defaults,
    occurrences: fields.Occurrences,
    from_text: bool = False,
) -> Iterator[Fact]:
    return fields.checked(number, lambda: [_fact(record, defaults, occurrences, from_text)])


def _fact(
    record: Mapping[str, Any], defaults: Defaults, occurrences: fields.Occurrences, from_text: bool
) -> Call | ToolCall:
    values = {name: value for name, value in record.items() if value is not None and value != ""}
    is_tool_call = "tool" in values and "model" not in values
    _check_names(record, values, _TOOL_CALL if is_tool_call else _CALL)
    if from_text:
        values = {name: _converted(name, value) for name, value in values.items()}
    own = dict(values)  # an id follows from what the file says, not from what the user says about the file
    values["ts"] = fields.moment(values.get("ts", defaults.ts))
    if is_tool_call:
        values.setdefault("agent_id", defaults.agent_id)
        if "tool_call_id" not in values:
            values["tool_call_id"] = occurrences.id(own)
        return ToolCall(**values)
    if "model" not in values:
        raise InvalidRecord("model", record.get("model"), "add it; a row with a tool instead is a tool call")
    for name in ("prompt_tokens", "completion_tokens"):
        if name not in record:
            raise InvalidRecord(name, None, "add it, or leave the value empty (null) where it is not known")
        values.setdefault(name, None)
    values["agent_id"] = fields.agent(values, defaults)
    for name in ("customer_id", "session_id", "feature", "provider"):
        values.setdefault(name, getattr(defaults, name))
    values.setdefault("evidence", "log")
    if "request_id" not in values:
        values["request_id"] = occurrences.id(own)
    return Call(**values)


def _check_names(record: Mapping[str, Any], values: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in record:
        if name not in _KNOWN:
            raise InvalidRecord(
                fields.shown(name), record[name], f"no such column; the columns are {', '.join(_KNOWN)}"
            )
    for name in values:
        if name not in names:
            kind = "a tool call" if names is _TOOL_CALL else "an LLM call"
            remedy = f"{kind} has no such column; a row with a tool and no model is a tool call"
            raise InvalidRecord(name, values[name], remedy)


def _converted(name: str, cell: str) -> object:
    """The value that the text of a cell stands for."""
    if is_count_field(name):
        if not _WHOLE.fullmatch(cell):
            remedy = "leave out the thousands separators" if _GROUPED.fullmatch(cell) else "give a whole number"
            raise InvalidRecord(name, cell, remedy)
        return int(cell)
    if is_amount_field(name):
        if not _NUMBER.fullmatch(cell):
            raise InvalidRecord(name, cell, "give a number such as 1234.56")
        return float(cell)
    if name == "usage":
        try:
            return lines.parsed(cell.encode(), "usage")
        except ValueError:
            raise InvalidRecord(name, cell, 'give JSON such as {"input_audio_tokens": 12}') from None
    return cell


@hookimpl
def register_importers(register: Callable[[Importer], None]) -> None:
    """Offer `jsonl` and `csv`."""
    register(JsonLines())
    register(Csv())
