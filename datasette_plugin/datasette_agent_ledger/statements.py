"""The SQL of the pages: each figure is one statement in a file of its own, in sql/."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

_HEADER = re.compile(r"\A/\*\n(.*?)\n\*/\n", re.DOTALL)
_QUOTED = re.compile(r"/\*.*?\*/|--[^\n]*|'(?:[^']|'')*'", re.DOTALL)

KEYS = {
    "agent": "agent_id",
    "team": "coalesce(team, '(unattributed)')",
    "feature": "coalesce(feature, '(unattributed)')",
    "customer": "coalesce(customer_id, '(unattributed)')",
    "model": "model",
}
"""How rows of the cubes are named, by axis."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One figure's SQL."""

    name: str
    title: str  # the question that it answers
    note: str  # what to know when reading it; "": nothing
    reads: tuple[str, ...]  # the views and tables of its FROM clauses
    shows: tuple[str, ...]  # the views whose figures it shows for a period: who may not see them must not see it
    sql: str

    @property
    def parameters(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(dict.fromkeys(re.findall(r":([a-z_]+)\b", _QUOTED.sub("", self.sql))))

    def by(self, axis: str, other: str | None = None) -> Statement:
        """The same for one axis: {axis} is its name, {key} what names its rows; {other} and {other_key}: of another."""
        filled = {"axis": axis, "key": KEYS[axis]}
        if other is not None:
            filled |= {"other": other, "other_key": KEYS[other]}

        def fill(text: str) -> str:
            for name, value in filled.items():
                text = text.replace(f"{{{name}}}", value)
            return text

        return replace(
            self,
            title=fill(self.title),
            note=fill(self.note),
            sql=fill(self.sql),
            shows=tuple(fill(name) for name in self.shows),
        )


@cache
def statement(name: str) -> Statement:
    """The statement of sql/<name>.sql. Its header says the title, what to know, and what it reads and shows."""
    text = files("datasette_agent_ledger").joinpath("sql", f"{name}.sql").read_text("utf-8").strip()
    found = _HEADER.match(text)
    if found is None:
        raise ValueError(f"{name}.sql begins with a header")
    lines = found[1].splitlines()
    note = [line for line in lines[1:] if line and not line.startswith(("Reads:", "Shows:"))]
    return Statement(
        name=name,
        title=lines[0],
        note=" ".join(note),
        reads=_listed(lines, "Reads:"),
        shows=_listed(lines, "Shows:"),
        sql=text[found.end() :],
    )


def _listed(lines: list[str], label: str) -> tuple[str, ...]:
    for line in lines:
        if line.startswith(label):
            return tuple(name.strip() for name in line.removeprefix(label).strip().rstrip(".").split(","))
    return ()
