"""Rows of a table in a file: CSV, plain or gzip, and Parquet. Only the columns that are asked for, in flat memory."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple

from agent_ledger.errors import ImportFailed
from agent_ledger.importers import lines, parquet

Kind = Literal["text", "number", "time", "map"]

_BLOCK = 2**18
_TOO_LONG = "\ud800"  # stands for a line over the limit; no decoded line can have it
_WRONG = re.compile("[\0\ud800\udc80-\udcff]")
_ZIP = b"PK\x03\x04"


class Column(NamedTuple):
    """A column that the caller wants: its name as the file has it, and what its cells should be."""

    name: str
    kind: Kind


Choice = Callable[[Sequence[str]], Sequence[Column | None]]
"""From the names of all columns, those that are wanted, in the caller's order; None: the file has no such column."""

Numbered = tuple[int, Sequence[Any] | str]
"""The number of a row's first line (Parquet: of the row) and its cells; or instead of them the reason why it has none.

The cells are in the order of the choice. In CSV all are text, "" where there is nothing; in Parquet they are text,
numbers, times, maps (a dict, or a list of pairs) or JSON text of a map, and None where there is nothing.
"""


@dataclass(frozen=True, slots=True)
class Texts:
    """Lines of a reader as text, read in blocks, for `csv.reader`."""

    reader: lines.Reader
    marks: list[bool]
    """Grows when a block was read that may hold something wrong; only then rows need a closer look."""

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(io.StringIO(block, newline="\n") for block in self._blocks())

    def _blocks(self) -> Iterator[str]:
        while block := self.reader.read(_BLOCK):
            if not block.endswith(b"\n"):
                rest = self.reader.readline(lines.LIMIT + 1)
                if len(rest) > lines.LIMIT:
                    block = block[: block.rfind(b"\n") + 1]
                    while rest and not rest.endswith(b"\n"):
                        rest = self.reader.readline(_BLOCK)
                    yield self._text(block)
                    self.marks.append(True)
                    yield f"{_TOO_LONG}\n"
                    continue
                block += rest
            yield self._text(block)

    def _text(self, block: bytes) -> str:
        # Wrong bytes become lone surrogates, so that they cost one row and not the file.
        text = block.decode("utf-8", "surrogateescape")
        if "\0" in text or (not text.isascii() and _WRONG.search(text)):
            self.marks.append(True)
        return text


def csv_rows(reader: lines.Reader) -> Iterator[tuple[int, list[str] | str]]:
    """Numbered rows of cells, or the reason why a row is none. Blank rows are passed over; the first is the header."""
    texts = Texts(reader, [])
    unread = iter(texts)
    blank = 0
    first = ""
    for first in unread:
        if first.strip():
            break
        blank += 1
    # `csv.Sniffer` guesses from all of the text, and often wrongly; a header leaves no doubt.
    table = csv.reader(chain([first], unread), delimiter=max(",;\t", key=first.count), strict=True)
    while True:
        number = blank + table.line_num + 1
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, _csv_reason(error)
            continue
        if texts.marks and (reason := _wrong("".join(cells))):
            yield number, reason
        elif cells and (cells[0] or any(map(str.strip, cells))):
            yield number, cells


def _wrong(row: str) -> str | None:
    found = _WRONG.search(row)
    if found is None:
        return None
    if _TOO_LONG in row:
        return f"the line is longer than {lines.LIMIT >> 20} MB."
    if "\0" in row:
        return "the line holds NUL bytes: it was not written completely, or is not text."
    return "the line is not UTF-8: save the file as UTF-8."


def _csv_reason(error: csv.Error) -> str:
    said = str(error)
    if "unexpected end of data" in said:
        return "a quotation mark opens here and is never closed: the file is cut off, or the mark is too many."
    if "field larger" in said:
        return "a cell is longer than 131,072 characters, or a quotation mark that opens here is never closed."
    return f"the row is not CSV: {said}."


@contextmanager
def opened(file: Path, choose: Choice, advance: Callable[[int], None]) -> Iterator[Iterator[Numbered]]:
    """The rows of `file`, whatever its name says it is. `choose` may raise ImportFailed where it misses a column.

    Raises ImportFailed for what can't be read as a table, also while the caller reads on.
    """
    if parquet.is_parquet(file):
        with parquet.opened(file, choose, advance) as rows:
            yield rows
        return
    with lines.opened(file, advance) as reader:
        if reader.peek(4)[:4] == _ZIP:
            raise ImportFailed(f"{file} is a zip archive: unpack it.")
        yield _chosen(file, csv_rows(reader), choose)


def _chosen(file: Path, rows: Iterator[tuple[int, list[str] | str]], choose: Choice) -> Iterator[Numbered]:
    _, header = next(rows, (1, "it has no line with text."))
    if isinstance(header, str):
        raise ImportFailed(f"{file} has no header that can be read: {header}")
    names = [name.strip() for name in header]
    width = len(names)
    # A column that the file does not have is read from an empty cell behind the last.
    places = [width if column is None else names.index(column.name) for column in choose(names)]
    pick: Callable[[list[str]], tuple[str, ...]] = itemgetter(*places, width)
    for number, cells in rows:
        if isinstance(cells, str):
            yield number, cells
        elif len(cells) != width:
            yield number, f"the row has {len(cells)} cells, the header has {width}."
        else:
            cells.append("")
            yield number, pick(cells)
