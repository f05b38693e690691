"""Names and types: which table each column of a view comes from, and whether it is an integer, a real or text."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import cache

from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from agent_ledger.schema import scripts

_DIALECT = "sqlite, normalization_strategy=case_sensitive"  # the columns of FOCUS keep their case
TYPES = {"integer": "bigint", "real": "double", "text": "text"}
"""What SQLite calls a type, and what the others call the same: 64 bits, a double, text."""


_COLUMN = re.compile(r"^(\w+) +(text|integer|real) +\S", re.MULTILINE)


@cache
def columns() -> Mapping[str, Mapping[str, str]]:
    """The columns of every table and view there, and `integer`, `real` or `text`, of views as their headers say."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for body in scripts("tables").values():
            connection.executescript(body + ";")
        found = {
            table: {name: kind.lower() for _, name, kind, *_ in connection.execute(f"pragma table_info({table})")}
            for table in scripts("tables")
        }
    for view, body in {**scripts("views"), **scripts("far")}.items():
        header = body.partition("*/")[0].rpartition("\n\n")[2]
        found[view] = dict(_COLUMN.findall(header))
    return found


def named(query: exp.Query) -> exp.Query:
    """The query with every column named by its table and every `*` written out, annotated with types."""
    query = qualify(
        query,
        dialect=_DIALECT,
        schema=_schema(),
        quote_identifiers=False,
        identify=False,
        validate_qualify_columns=True,
    )
    return annotate_types(query, schema=_schema(), dialect=_DIALECT)


@cache
def _schema() -> MappingSchema:
    schema = MappingSchema(dialect=_DIALECT, normalize=False)
    for table, typed in columns().items():
        schema.add_table(table, {name: TYPES[kind] for name, kind in typed.items()}, dialect=_DIALECT)
    return schema
