"""Names and types: which table each column of a view comes from, and whether it is an integer, a real or text."""

from __future__ import annotations

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


@cache
def columns() -> Mapping[str, Mapping[str, str]]:
    """The columns of every table, and `integer`, `real` or `text`."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for body in scripts("tables").values():
            connection.executescript(body + ";")
        return {
            table: {name: kind.lower() for _, name, kind, *_ in connection.execute(f"pragma table_info({table})")}
            for table in scripts("tables")
        }


class Types:
    """What is known of tables, and of the views that were looked at."""

    def __init__(self) -> None:
        self._schema = MappingSchema(dialect=_DIALECT, normalize=False)
        for table, named in columns().items():
            self._schema.add_table(table, {name: TYPES[kind] for name, kind in named.items()}, dialect=_DIALECT)

    def name(self, view: str | None, query: exp.Query) -> exp.Query:
        """The query with every column named by its table and every `*` written out, annotated with types.

        `view`: what it is called from now on; None: it is not asked again.
        """
        query = qualify(
            query,
            dialect=_DIALECT,
            schema=self._schema,
            quote_identifiers=False,
            identify=False,
            validate_qualify_columns=True,
        )
        query = annotate_types(query, schema=self._schema, dialect=_DIALECT)
        if view is None:
            return query
        found = {column.alias_or_name: column.type.sql() for column in query.selects}
        self._schema.add_table(view, found, dialect=_DIALECT)
        return query
