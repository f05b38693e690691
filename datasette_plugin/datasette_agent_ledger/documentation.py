"""What the views of a ledger mean: told by the comments that they carry in the file itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEADER = re.compile(r"/\*\n(.*?)\n\*/", re.DOTALL)
_COLUMN = re.compile(r"^(\w+) +(text|integer|real) +(\S.*)$")
_TABLE_COLUMN = re.compile(r"^  (\w+) (?:text|integer|real|blob|any)\b[^\n]*?-- ([^\n]+)$", re.MULTILINE)
_TABLE_NOTE = re.compile(r"\(\n((?:  --[^\n]*\n)+)")


@dataclass(frozen=True, slots=True)
class Meaning:
    """A view or table: its description, and what its columns mean, with their units."""

    description: str
    columns: dict[str, str]


def of_view(definition: str) -> Meaning | None:
    """What a view's SQL says about it; None: nothing."""
    found = _HEADER.search(definition)
    if found is None:
        return None
    text, _, listed = found[1].rpartition("\n\n")
    columns = {match[1]: match[3] for line in listed.splitlines() if (match := _COLUMN.match(line))}
    return Meaning(_paragraphs(text), columns)


def of_table(definition: str) -> Meaning | None:
    """What the comments in a table's SQL say about it; None: nothing."""
    note = _TABLE_NOTE.search(definition)
    columns = {match[1]: match[2][0].upper() + match[2][1:] for match in _TABLE_COLUMN.finditer(definition)}
    if note is None and not columns:
        return None
    lines = [line.strip().removeprefix("--").strip() for line in note[1].splitlines()] if note else []
    return Meaning(" ".join(lines), columns)


def _paragraphs(text: str) -> str:
    """Lines that belong together as one; paragraphs apart."""
    return "\n".join(" ".join(one.split("\n")) for one in text.strip().split("\n\n"))
