"""Lines of bills on their way into the file: which delivery they belong to, and what they are in exact dollars."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import count
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from agent_ledger import money
from agent_ledger.errors import ImportFailed
from agent_ledger.records import Charge, Delivered, ProviderUsage

_COMMON: Final = {field.name for field in fields(Delivered)} - {"period_start", "period_end", "provider"}
_CONVERTED: Final = ("cost", "quantity", "tags")
_BILLED: Final = "billed"  # also called unblended, and what bills say where nobody asks for another measure
_LARGEST: Final = 2**63


class _Table:
    """How facts of one kind become rows of their table."""

    def __init__(self, name: str, kind: type[Charge] | type[ProviderUsage], line_id: str, *computed: str) -> None:
        self.name = name
        self.kind = kind
        self.line_id = line_id
        plain = [field.name for field in fields(kind) if field.name not in {*_COMMON, *_CONVERTED}]
        self.plain = attrgetter(*plain)
        self.columns = ["delivery_id", *plain, *computed]
        self.id_at = self.columns.index(line_id)
        self.insert = (
            f"insert into {name} ({', '.join(self.columns)}) values ({', '.join('?' * len(self.columns))}) "
            f"on conflict (delivery_id, {line_id}) do nothing"
        )
        self.there = f"select id, {', '.join(self.columns)} from {name} where delivery_id = ? and {line_id} = ?"


_CHARGES: Final = _Table("charge", Charge, "charge_id", *_CONVERTED, "cost_picos")
_USAGE: Final = _Table("provider_usage", ProviderUsage, "usage_id")


class Deliveries:
    """The deliveries that the files of one import are: one for each bill and billing period in them.

    `name` is what the user calls the delivery. None: the content of the files is its name, so that the same files again
    are the same delivery, and nothing is to be added.
    """

    def __init__(
        self, connection: sqlite3.Connection, source: str, name: str | None, files: Sequence[Path] = ()
    ) -> None:
        self._connection = connection
        self._format = source
        self._given = name
        self._digest: str | None = None
        self._files = files
        self._ids: dict[tuple[str, str, str], tuple[int, bool]] = {}
        self._before = {
            table.name: connection.execute(f"select coalesce(max(id), 0) from {table.name}").fetchone()[0]
            for table in (_CHARGES, _USAGE)
        }
        self.added_charges = 0

    def add(self, facts: Iterable[Charge | ProviderUsage]) -> int:
        """Store lines. Returns how many were not there.

        Parts of a delivery may use an id twice: a line that is not the same gets a number, so that none is lost.
        Raises ImportFailed for an amount that is too large for the file.
        """
        found = list(facts)
        added = 0
        for table in (_CHARGES, _USAGE):
            rows = []
            for fact in found:
                if isinstance(fact, table.kind):
                    delivery, is_new = self._delivery(fact)
                    if is_new:
                        rows.append(_row(delivery, fact))
            if rows:
                new = self._store(table, rows)
                added += new
                self.added_charges += new if table is _CHARGES else 0
        return added

    def _store(self, table: _Table, rows: Sequence[tuple[Any, ...]]) -> int:
        self._connection.execute("savepoint lines")
        added = self._connection.executemany(table.insert, rows).rowcount
        if added < len(rows):
            self._connection.execute("rollback to lines")
            added = sum(self._store_one(table, row) for row in rows)
        self._connection.execute("release lines")
        return added

    def _store_one(self, table: _Table, row: tuple[Any, ...]) -> bool:
        line_id = row[table.id_at]
        for number in count(1):
            own_id = line_id if number == 1 else f"{line_id}-{number}"
            numbered = (*row[: table.id_at], own_id, *row[table.id_at + 1 :])
            if self._connection.execute(table.insert, numbered).rowcount:
                return True
            there = self._connection.execute(table.there, [row[0], own_id]).fetchone()
            if there[0] <= self._before[table.name] and there[1:] == numbered:
                return False  # from an earlier import; in one and the same import each line is one of its own
        raise AssertionError

    def _delivery(self, fact: Delivered) -> tuple[int, bool]:
        """The delivery of a line, and whether its lines are to be stored."""
        key = (fact.bill, fact.billing_period, "charges" if isinstance(fact, Charge) else "usage")
        if key not in self._ids:
            row = (self._format, *key, self._name())
            is_new = self._connection.execute(
                "insert into delivery (format, bill, billing_period, content, name) values (?, ?, ?, ?, ?) "
                "on conflict do nothing",
                row,
            ).rowcount
            [(delivery,)] = self._connection.execute(
                "select id from delivery"
                " where format = ? and bill = ? and billing_period = ? and content = ? and name = ?",
                row,
            ).fetchall()
            self._ids[key] = (delivery, bool(is_new) or self._given is not None)
        return self._ids[key]

    def _name(self) -> str:
        if self._given is not None:
            return self._given
        if self._digest is None:
            self._digest = f"sha256:{_digest(self._files)[:32]}"
        return self._digest


def _digest(files: Sequence[Path]) -> str:
    """A digest of the contents of files, in whatever order."""
    digests = []
    for path in files:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def _row(delivery: int, fact: Charge | ProviderUsage) -> tuple[Any, ...]:
    if isinstance(fact, ProviderUsage):
        return (delivery, *_USAGE.plain(fact))
    picos = money.picos(fact.cost) if fact.currency == "USD" else None
    if picos is not None and abs(picos) >= _LARGEST:
        raise ImportFailed(f"the line {fact.charge_id} costs {fact.cost:f} USD, which is too much for a ledger.")
    quantity = None if fact.quantity is None else format(fact.quantity, "f")
    return (delivery, *_CHARGES.plain(fact), format(fact.cost, "f"), quantity, _json(fact.tags), picos)


def _json(tags: Mapping[str, str] | None) -> str | None:
    return None if tags is None else json.dumps(dict(tags), sort_keys=True)


def chosen_measure(connection: sqlite3.Connection, wanted: str | None) -> str | None:
    """The cost measure of the ledger, or else the one that is wanted. None: neither is said.

    Raises ImportFailed where they differ: amounts of two measures must not be added.
    """
    found = connection.execute("select value from ledger_meta where key = 'cost_measure'").fetchone()
    if found is None:
        return wanted
    if wanted is not None and _canonical(wanted) != found[0]:
        raise ImportFailed(
            f"the bills in this ledger have the cost measure {found[0]}: {wanted} can't be added to it, use a new one."
        )
    return str(found[0])


def keep_measure(connection: sqlite3.Connection, measure: str | None) -> None:
    """Note which cost measure the bills of this ledger have. The first one holds."""
    connection.execute(
        "insert into ledger_meta (key, value) values ('cost_measure', ?) on conflict do nothing", [_canonical(measure)]
    )


def _canonical(measure: str | None) -> str:
    return _BILLED if measure is None or measure == "unblended" else measure
