"""Ship to ClickHouse: facts as they come, and at once which of them count, over all hosts.

A batch that was sent before, wholly or in part, adds the rows that are not there; one that is there with other content
stops everything, because then two ledgers have the same number. What two shippers of one ledger insert at the same
moment is the same row twice, which the tables drop (clickhouse_schema.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from agent_ledger import clock, far, pricebook, shipped
from agent_ledger.errors import LedgerError, SinkDown
from agent_ledger.hookspecs import Batch, Host, Sink, Target, hookimpl
from agent_ledger.pricing import RateKey
from agent_ledger.shipped import SHIPPED
from agent_ledger.sinks import clickhouse_schema
from agent_ledger.sinks.clickhouse_schema import COUNTED, KEYS

# What a server says to who may not come in, however often he knocks.
_FINAL: Final = ("AUTHENTICATION_FAILED", "UNKNOWN_DATABASE", "ACCESS_DENIED", "UNKNOWN_USER", "REQUIRED_PASSWORD")
_DOWN: Final = ("OperationalError", "ConnectionError", "TimeoutError", "HTTPError", "MEMORY_LIMIT", "TOO_MANY_PARTS")
# What was inserted is on its shard when the insert returns, and is read from the replica that took it.
_OF_CLUSTERS: Final = {"distributed_foreground_insert": 1, "load_balancing": "in_order"}
_BY_TIME: Final = frozenset(table.name for table in SHIPPED if table.by_time or table.cursor != "id")


class ClickHouse:
    """A database on a ClickHouse server, or with ?cluster=NAME on all servers of a cluster."""

    name = "ClickHouse"
    form = "clickhouse://USER@HOST/DATABASE"
    batch_rows = 100_000

    def accepts(self, destination: str) -> bool:
        return destination.startswith("clickhouse://")

    def address(self, destination: str) -> str:
        options = far.clickhouse_options(destination)
        port = options.get("port", 8443 if options["secure"] else 8123)
        return f"clickhouse://{options['host']}:{port}/{options.get('database', 'default')}"

    def open(self, destination: str, host: Host) -> Target:
        address = self.address(destination)
        try:
            library = import_module("clickhouse_connect")
        except ImportError:
            raise LedgerError(
                "ClickHouse needs clickhouse-connect: pip install 'agent-cost-ledger[clickhouse]'"
            ) from None
        cluster = parse_qs(urlsplit(destination).query).get("cluster", [None])[-1]
        with explained(address):
            client = library.get_client(**far.clickhouse_options(destination), settings=_OF_CLUSTERS if cluster else {})
        database = Database(client, address, host, urlsplit(address).path.strip("/"), cluster)
        try:
            database.prepare()
        except BaseException:
            database.close()
            raise
        return database


class Database:
    """An open database. `client` has the methods `command`, `query` and `insert` of clickhouse-connect's."""

    def __init__(self, client: Any, address: str, host: Host, name: str, cluster: str | None) -> None:
        self._client = client
        self._address = address
        self._host = host
        self._name = name
        self._cluster = cluster

    def prepare(self) -> None:
        """Make what is missing. Raises LedgerError where something else is in its place."""
        with explained(self._address):
            clickhouse_schema.prepare(self._ask, self._address, self._cluster)
            if (self._host.number, self._host.name) not in self._ask("select number, name from host"):
                self._insert("host", ("number", "name"), [(self._host.number, self._host.name)])

    def close(self) -> None:
        with suppress(Exception):
            self._client.close()

    def write(self, batch: Batch) -> None:
        with explained(self._address):
            self._insert(batch.table, batch.columns, self._missing(batch))
            if batch.table in COUNTED and batch.rows:
                self._ask(clickhouse_schema.counting(batch.table, *self._ids(batch), self._host.number, self._name))

    def replace(self, batch: Batch) -> None:
        """The rows of the host are a partition of their own."""
        with explained(self._address):
            self._put(batch.table, str(self._host.number), batch.columns, batch.rows)

    def settle(self) -> None:
        """Work out the rates anew, where prices or what needs one have come."""
        with explained(self._address):
            ((state,),) = self._ask(
                "select concat(toString(count()), ' ', toString(max(id)), ' ', toString((select count() from"
                " (select distinct model, provider, service_tier, region from host_rate_key)))) from price_revision"
            )
            if (state,) in self._ask("select value from far_state where key = 'rates'"):
                return
            names = ("id", *(name for name in shipped.columns("price_revision") if name != "id"))
            found = self._ask(f"select {', '.join(names)} from price_revision")
            keys = self._ask("select distinct model, provider, service_tier, region from host_rate_key")
            rates, reasons = pricebook.rates(
                [dict(zip(names, row, strict=True)) for row in found], [RateKey(*key) for key in keys]
            )
            now = clock.now()
            self._put("rate", "tuple()", pricebook.RATE_COLUMNS, rates)
            keys_told = [(*row[:4], now, row[4]) for row in reasons]
            self._put("rate_key", "tuple()", tuple(shipped.columns("rate_key")), keys_told)
            self._insert("far_state", ("key", "value"), [("rates", state)])

    def _put(self, table: str, partition: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Put rows in place of a partition, in one step, so that nobody sees half of it. Replicas take it over."""
        stored, beside = f"stored_{table}", f"coming_{table}_{self._host.number}"
        if not rows:
            self._ask(f"alter table {stored} drop partition {partition}")
            return
        self._ask(f"drop table if exists {beside}")
        self._ask(clickhouse_schema.create(table, beside))
        self._client.insert(beside, rows, column_names=columns)
        self._ask(f"alter table {stored} replace partition {partition} from {beside}")
        self._ask(f"drop table {beside}")

    def _missing(self, batch: Batch) -> Sequence[tuple[Any, ...]]:
        """The rows of a batch that are not there. Raises LedgerError for one that is, with other content."""
        within = f"host = {self._host.number}"
        if batch.table not in _BY_TIME:
            first, last = self._ids(batch)
            within += f" and id between {first} and {last}"
        named = ", ".join(f"`{name}`" for name in batch.columns)
        key = [batch.columns.index(name) for name in KEYS[batch.table]]
        there = {
            tuple(row[at] for at in key): tuple(row)
            for row in self._ask(f"select {named} from {batch.table} where {within}")
        }
        if not there:
            return batch.rows
        missing = []
        for row in batch.rows:
            found = there.get(tuple(row[at] for at in key))
            if found is None:
                missing.append(row)
            elif found != tuple(row):
                raise LedgerError(
                    f"{batch.table} of {self._address} has a row of this ledger with other content: the file is a copy"
                    " of another ledger, or comes from a backup; --as-new ships all of it as of another host"
                )
        return missing

    def _ids(self, batch: Batch) -> tuple[int, int]:
        """The first and the last id that a row of the batch can have there."""
        base = self._host.number << shipped.ROW_BITS
        return base | batch.first, base | batch.last

    def _insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            into = clickhouse_schema.rows_go_to(table, self._cluster)
            self._client.insert(into, rows, column_names=columns, settings={"max_partitions_per_insert_block": 0})

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        if sql.lstrip().startswith("select"):
            return [tuple(row) for row in self._client.query(sql).result_rows]
        self._client.command(sql)
        return []


@contextmanager
def explained(address: str) -> Iterator[None]:
    """Errors of the client as those of a sink."""
    try:
        yield
    except (LedgerError, sqlite3.Error):  # the rows of a batch are read from the ledger
        raise
    except Exception as error:
        text = " ".join(str(error).split())[:300] or type(error).__name__
        if any(sign in text for sign in _FINAL):
            raise LedgerError(f"{address} refuses: {text}; check user, password and database") from None
        names = {kind.__name__ for kind in type(error).__mro__}
        if names & set(_DOWN) or any(sign in text for sign in _DOWN):
            raise SinkDown(f"{address} can't take rows now: {text}") from None
        raise LedgerError(f"{address} refuses: {text}") from None


@hookimpl
def register_sinks(register: Callable[[Sink], None]) -> None:
    """Offer this sink."""
    register(ClickHouse())
