"""The objects of a file that is JSON (an array, or one object), JSON lines, or CSV with a header: what it is shows."""

from __future__ import annotations

import csv
import json
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agent_ledger.errors import ImportFailed
from agent_ledger.importers import lines
from agent_ledger.records import Refused

SUFFIXES = tuple(kind + packed for kind in (".jsonl", ".json", ".csv") for packed in ("", ".gz"))

Found = tuple[int | None, str, dict[str, Any]]
"""The line of the object, None where there are no lines; where it stands then, to put before a reason; the object."""

_CHUNK = 2**20


def objects(file: Path, advance: Callable[[int], None]) -> Iterator[Found | Refused]:
    """The objects of `file`, one by one and in flat memory. The cells of a CSV stay text; empty ones are left out.

    Raises ImportFailed for a file that can't be read.
    """
    with lines.opened(file, lambda _: None) as reader:
        first = reader.readline(_CHUNK)
        while first and not first.strip():
            first = reader.readline(_CHUNK)
    if first.lstrip().startswith(b"["):
        yield from _array(file, advance)
    elif not first.lstrip().startswith(b"{"):
        yield from _table(file, advance)
    elif _opens_only(first):
        yield _single(file, advance)
    else:
        for item in lines.objects(file, advance):
            yield item if isinstance(item, Refused) else (item[0], "", item[1])


def _opens_only(line: bytes) -> bool:
    """Is the first line only the beginning of an object that is written over several lines?"""
    return line.endswith(b"\n") and line.rstrip().endswith((b",", b"[", b"{"))


def _single(file: Path, advance: Callable[[int], None]) -> Found | Refused:
    try:
        value = lines.parsed(lines.whole(file, advance), "the file")
    except ValueError as error:
        return Refused(None, str(error))
    return None, "", value


class _Window:
    """A text of which no more is held than what is being decoded."""

    def __init__(self, reader: lines.Reader) -> None:
        self._reader = reader
        self._text_of = getincrementaldecoder("utf-8")("surrogateescape").decode
        self.text = ""
        self.at = 0

    def grow(self) -> bool:
        """Read on; False at the end of the file, or where one object is too long."""
        if len(self.text) - self.at > lines.LIMIT or not (chunk := self._reader.read(_CHUNK)):
            return False
        self.text = self.text[self.at :] + self._text_of(chunk)
        self.at = 0
        return True

    def sign(self, passed: str) -> str:
        """The next sign that is none of `passed`; an empty text at the end."""
        while True:
            while self.at < len(self.text):
                if self.text[self.at] not in passed:
                    return self.text[self.at]
                self.at += 1
            if not self.grow():
                return ""


def _array(file: Path, advance: Callable[[int], None]) -> Iterator[Found | Refused]:
    decode = json.JSONDecoder().raw_decode
    with lines.opened(file, advance) as reader:
        window = _Window(reader)
        window.sign(" \t\r\n")
        window.at += 1  # the bracket
        number = 0
        while (sign := window.sign(" \t\r\n,")) != "]":
            number += 1
            value: Any = None
            while value is None and sign == "{":
                try:
                    value, window.at = decode(window.text, window.at)
                except ValueError:
                    if not window.grow():
                        break
                except RecursionError:
                    break
            if value is None:
                yield Refused(None, f"record {number} is cut off or no JSON object: what follows it is not read.")
                return
            yield None, f"record {number}: ", value


def _table(file: Path, advance: Callable[[int], None]) -> Iterator[Found | Refused]:
    """The rows of a CSV, by the names of its header."""
    with lines.opened(file, advance) as reader:
        numbered = lines.raw_lines(reader)
        line_number = 0

        def texts() -> Iterator[str]:
            nonlocal line_number
            for line_number, line in numbered:  # noqa: B007  # read below
                yield "\0" if line is None else line.decode("utf-8", "surrogateescape")

        table = csv.reader(texts(), strict=True)
        header: list[str] | None = None
        while True:
            start = line_number + 1
            try:
                cells = _next(table)
            except csv.Error as error:
                if header is None:
                    raise ImportFailed(f"{file} is neither JSON nor CSV with a header: {error}.") from None
                yield Refused(start, f"the row is not CSV: {error}.")
                continue
            if cells is None:
                return
            if header is None:
                header = [name.strip() for name in cells]
            elif len(cells) == len(header):
                yield start, "", {name: cell for name, cell in zip(header, cells, strict=True) if cell.strip()}
            elif cells:
                yield Refused(start, f"the row has {len(cells)} cells, the header has {len(header)}.")


def _next(table: Iterator[list[str]]) -> list[str] | None:
    """The next row. Logged prompts make cells longer than Python's limit, which holds for all readers."""
    before = csv.field_size_limit(lines.LIMIT)
    try:
        return next(table, None)
    finally:
        csv.field_size_limit(before)
