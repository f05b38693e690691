"""Every view, from the text for SQLite to that of another engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from sqlglot import TokenType, exp, parse_one, tokenize

from agent_ledger.dialects.engines import ENGINES
from agent_ledger.dialects.rollups import NothingLeft, without_rollups
from agent_ledger.dialects.rules import said_for
from agent_ledger.dialects.truth import with_truth
from agent_ledger.dialects.typed import columns, named
from agent_ledger.schema import scripts

__all__ = ("columns", "statement", "tables", "views")


@cache
def views(dialect: str, left_out: frozenset[str]) -> dict[str, str]:
    """The SELECT of each view in `dialect`; each reads those before it."""
    return {name: _said(query.copy(), dialect) for name, query in _named(left_out).items()}


@cache
def tables(left_out: frozenset[str]) -> frozenset[str]:
    """The tables that the views read."""
    found = {table.name for query in _named(left_out).values() for table in query.find_all(exp.Table)}
    return frozenset(found & set(scripts("tables"))) - set(scripts("far"))


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
def _named(left_out: frozenset[str]) -> dict[str, exp.Query]:
    """The views with names and types, which they have in every dialect; each after those that it reads."""
    return {name: named(with_truth(without_rollups(query))) for name, query in _in_order(left_out).items()}


def _in_order(left_out: frozenset[str]) -> dict[str, exp.Query]:
    bodies = {**scripts("views"), **scripts("far")}
    parsed = {name: _parse(body) for name, body in bodies.items() if name not in left_out}
    done: dict[str, exp.Query] = {}

    def visit(name: str) -> None:
        for table in parsed[name].find_all(exp.Table):
            if table.name in parsed and table.name not in done and table.name != name:
                visit(table.name)
        done.setdefault(name, parsed[name])

    for name in parsed:
        visit(name)
    return done


def _parse(body: str) -> exp.Query:
    tree = parse_one(body, dialect="sqlite")
    assert isinstance(tree, exp.Query)
    for identifier in tree.find_all(exp.Identifier):
        if not identifier.name.islower():  # FOCUS columns, whose case is theirs
            identifier.set("quoted", True)
    return tree
