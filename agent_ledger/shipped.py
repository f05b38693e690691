"""What is shipped, as data: the tables of facts in their order, and the small derived ones that go as a whole.

At the far side the tables have the same names and columns, after `host`, so that the same views read them. Rows of many
ledgers stand there together, so their ids begin with what tells them apart:

- a row's id there is `host.number << 33 | id`;
- of settings, where a later row replaces an earlier one, it begins with the time of recording, so that the order of ids
  is the order of recording across hosts (`by_time`).

The far side is what one ledger would say that had recorded the facts of all hosts.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Final, Literal

from agent_ledger import schema

Kind = Literal["INTEGER", "TEXT", "REAL"]

HOST_BITS: Final = 30
ROW_BITS: Final = 33
_EPOCH: Final = 1_577_836_800_000  # 2020-01-01, in milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """A table whose rows are shipped in their order."""

    name: str
    cursor: str = "id"  # rises with every row
    key: tuple[str, ...] = ("id",)  # unique at the far side, together with `host`
    references: Mapping[str, str] = field(default_factory=dict)  # columns that hold ids of other tables
    day: str | None = None  # the time that divides a large table into days or months
    by_time: bool = False  # ids at the far side begin with recorded_at
    never_empty: bool = False  # its checks refuse empty text, so that nothing can stand for NULL …
    except_in: str | None = None  # … but in this column


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A table that is derived, or has no order: sent as a whole whenever `version` says something else."""

    name: str
    version: str  # a statement: what tells one state of the table from another
    key: tuple[str, ...]
    references: Mapping[str, str] = field(default_factory=dict)
    far_name: str | None = None  # at the far side, where `name` holds what follows from those of all hosts


_CLOSES: Final = (
    *("ledger", "audit", "delivery", "charge", "price_revision", "tool_price", "exchange_rate"),
    *("agent_assignment", "allocation_rule"),
)

# What others refer to comes before them. To ship another table, add a line.
SHIPPED: Final = (
    Shipped(name="price_revision"),
    Shipped(name="tool_price", by_time=True),
    Shipped(name="agent_assignment", by_time=True),
    Shipped(name="exchange_rate", by_time=True),
    Shipped(name="allocation_rule", by_time=True),
    Shipped(name="sharing_rule", by_time=True),
    Shipped(name="delivery", by_time=True),
    Shipped(name="charge", references={"delivery_id": "delivery"}, day="period_start"),
    Shipped(name="provider_usage", references={"delivery_id": "delivery"}, day="period_start"),
    Shipped(name="ledger", day="ts", never_empty=True, except_in="usage"),
    Shipped(name="audit", day="ts", never_empty=True),
    Shipped(name="period_close", by_time=True, references={f"{table}_row": table for table in _CLOSES}),
    Shipped(
        name="closed_figure",
        cursor="close_id",
        key=("close_id", "axis", "key"),
        references={"close_id": "period_close"},
    ),
)
SNAPSHOTS: Final = (
    Snapshot(
        name="rate_key",
        version="select count(*) from rate_key",
        key=("model", "provider", "service_tier", "region"),
        far_name="host_rate_key",  # rate and rate_key follow from the prices and keys of all hosts, see pricebook
    ),
    Snapshot(
        name="allocation",
        version="select value from ledger_meta where key = 'allocations'",
        key=("charge_id", "audit_id"),
        references={"charge_id": "charge", "audit_id": "audit"},
    ),
    Snapshot(
        name="allocation_rest",
        version="select value from ledger_meta where key = 'allocations'",
        key=("charge_id",),
        references={"charge_id": "charge"},
    ),
    Snapshot(name="unit", version="select count(*) || ' ' || total(factor) from unit", key=("name",)),
    *(
        Snapshot(
            name=f"unreported_{kind}",
            version=f"select count(*) || ' ' || total(id) from unreported_{kind}",
            key=("id",),
            references={"id": table},
        )
        for kind, table in (("call", "ledger"), ("tool_call", "audit"))
    ),
)
TABLES: Final[tuple[Shipped | Snapshot, ...]] = (*SHIPPED, *SNAPSHOTS)
_BY_NAME: Final = {table.name: table for table in SHIPPED}


@cache
def columns(table: str) -> dict[str, Kind]:
    """The columns of a table of the ledger, in order, with their types."""
    with closing(sqlite3.connect(":memory:")) as connection:
        statement = re.match(r"(?ms).*?^\) strict[^;\n]*", schema.scripts("tables")[table])
        connection.execute(statement[0] if statement else "")
        found = connection.execute("select name, upper(type) from pragma_table_info(?)", [table])
        return dict(found.fetchall())


def far_columns(table: str) -> dict[str, Kind]:
    """The columns of a shipped table at the far side."""
    return {"host": "INTEGER", **columns(table)}


def selection(table: Shipped | Snapshot) -> str:
    """The statement that reads a table as it stands at the far side, without a condition. Its parameter :number is
    the host's."""
    return f'select {", ".join(_values(table).values())} from "{table.name}"'


def lines(table: Shipped) -> str:
    """The same, with what lies between two columns of doubles as one text, its cells between tabs, NULL as nothing.
    (A double as SQLite's text has 15 digits, or is not the nearest.)"""
    kinds = far_columns(table.name)
    parts = []
    for is_real, names in groupby(_values(table).items(), lambda item: kinds[item[0]] == "REAL"):
        values = [value for _, value in names]
        together = "printf('{}', {})".format("\t".join(["%s"] * len(values)), ", ".join(values))
        parts += values if is_real else [together]
    return f'select {", ".join(parts)} from "{table.name}"'


def _values(table: Shipped | Snapshot) -> dict[str, str]:
    """The columns at the far side, as SQL over those of the ledger."""
    own = {"id": table.name} if isinstance(table, Shipped) and "id" in table.key else {}
    meant = {**own, **table.references}
    found = {
        column: _far_id(meant[column], f'"{table.name}"."{column}"', own=column in own)
        if column in meant
        else f'"{column}"'
        for column in columns(table.name)
    }
    return {"host": ":number", **found}


def _far_id(table: str, column: str, *, own: bool) -> str:
    """An id of `table` as SQL for its id at the far side; NULL stays NULL, and 0 (none) stays 0."""
    if not _BY_NAME[table].by_time:
        return f"iif({column} = 0, 0, (:number << {ROW_BITS}) | {column})"
    told = f"max(0, strftime('%s', recorded_at) * 1000 + substr(recorded_at, 21, 3) - {_EPOCH})"
    # 40 bits are enough until 2054; the rest tells apart what was recorded in the same millisecond.
    coded = f"({told} << 23) | ((:number & 4095) << 11) | (id & 2047)"
    if own:
        return coded
    return f"iif({column} is null, null, coalesce((select {coded} from {table} as told where told.id = {column}), 0))"
