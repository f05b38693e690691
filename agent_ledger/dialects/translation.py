"""Every view, from the text for SQLite to that of another engine."""

from __future__ import annotations

from functools import cache

from sqlglot import exp, parse_one

from agent_ledger.dialects.engines import ENGINES
from agent_ledger.dialects.rollups import without_rollups
from agent_ledger.dialects.rules import said_for
from agent_ledger.dialects.truth import with_truth
from agent_ledger.dialects.typed import Types
from agent_ledger.schema import scripts


@cache
def views(dialect: str, left_out: frozenset[str]) -> dict[str, str]:
    """The SELECT of each view in `dialect`; each reads those before it."""
    return {name: _said(query.copy(), dialect) for name, query in _named(left_out)[1].items()}


@cache
def tables(left_out: frozenset[str]) -> frozenset[str]:
    """The tables that the views read."""
    found = {table.name for query in _named(left_out)[1].values() for table in query.find_all(exp.Table)}
    return frozenset(found & set(scripts("tables"))) - set(scripts("far"))


@cache
def statement(dialect: str, sql: str, left_out: frozenset[str]) -> str:
    """A SELECT written for SQLite in `dialect`."""
    types, _ = _named(left_out)
    query = without_rollups(_parse(sql))
    return _said(types.name(None, with_truth(query)), dialect)


def _said(named: exp.Query, dialect: str) -> str:
    engine = ENGINES[dialect]
    text = said_for(named, engine).sql(dialect=dialect, pretty=True, comments=False)
    return f"{text}\nSETTINGS {engine.settings}" if engine.settings else text


@cache
def _named(left_out: frozenset[str]) -> tuple[Types, dict[str, exp.Query]]:
    """The views with names and types, which they have in every dialect; each after those that it reads."""
    types = Types()
    ordered = _in_order(left_out)
    return types, {name: types.name(name, with_truth(without_rollups(query))) for name, query in ordered.items()}


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
