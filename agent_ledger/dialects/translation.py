"""Every view, from the text for SQLite to that of another engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from sqlglot import TokenType, exp, parse_one, tokenize

from agent_ledger.dialects.engines import ENGINES
from agent_ledger.dialects.rollups import NothingLeft, without_rollups
from agent_ledger.dialects.rules import said_for
from agent_ledger.dialects.truth import with_truth
from agent_ledger.dialects.typed import columns, named
from agent_ledger.schema import scripts

__all__ = ("columns", "in_order", "statement", "tables", "view")

_BODIES: Final = {**scripts("views"), **scripts("far")}


@cache
def view(dialect: str, name: str) -> str:
    """The SELECT of a view in `dialect`."""
    return _said(named(with_truth(_without_rollups(name).copy())), dialect)


@cache
def in_order(wanted: frozenset[str]) -> tuple[str, ...]:
    """The views among `wanted` and those that they read, each after what it reads."""
    done: dict[str, None] = {}

    def visit(name: str) -> None:
        for table in sorted(_reads(name) & _BODIES.keys() - done.keys() - {name}):
            visit(table)
        done[name] = None

    for name in sorted(wanted & _BODIES.keys()):
        visit(name)
    return tuple(done)


def tables(wanted: frozenset[str]) -> frozenset[str]:
    """The tables among `wanted`, and those that the views among it read."""
    found = wanted.union(*map(_reads, in_order(wanted)))
    return found & frozenset(scripts("tables")) - frozenset(scripts("far"))


def statement(dialect: str, sql: str, values: Sequence[object] | Mapping[str, object]) -> str | None:
    """A SELECT written for SQLite in `dialect`, with `values` in place of its parameters. None: it has no rows."""
    if not isinstance(values, Mapping):
        sql, values = _numbered(sql), {f"p{number}": value for number, value in enumerate(values)}
    query = _parse(sql)
    for placeholder in list(query.find_all(exp.Placeholder)):
        placeholder.replace(exp.convert(values[placeholder.name]))
    try:
        query = without_rollups(query)
    except NothingLeft:
        return None
    return _said(named(with_truth(query)), dialect)


def _numbered(sql: str) -> str:
    """Each `?` as a name: a tree does not keep them in their order."""
    marks = [token for token in tokenize(sql, read="sqlite") if token.token_type == TokenType.PLACEHOLDER]
    for number, mark in reversed(list(enumerate(marks))):
        sql = f"{sql[: mark.start]}:p{number}{sql[mark.end + 1 :]}"
    return sql


def _said(query: exp.Query, dialect: str) -> str:
    engine = ENGINES[dialect]
    text = said_for(query, engine).sql(dialect=dialect, pretty=True, comments=False)
    return f"{text}\nSETTINGS {engine.settings}" if engine.settings else text


@cache
def _without_rollups(name: str) -> exp.Query:
    return without_rollups(_parse(_BODIES[name]))


def _reads(name: str) -> frozenset[str]:
    return frozenset(table.name for table in _without_rollups(name).find_all(exp.Table))


def _parse(body: str) -> exp.Query:
    tree = parse_one(body, dialect="sqlite")
    assert isinstance(tree, exp.Query)
    for identifier in tree.find_all(exp.Identifier):
        if not identifier.name.islower():  # FOCUS columns, whose case is theirs
            identifier.set("quoted", True)
    return tree
