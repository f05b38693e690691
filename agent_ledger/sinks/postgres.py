"""Ship to PostgreSQL: facts by COPY, and at once which of them count, over all hosts.

Large tables are copied into directly: that nothing of a batch is there yet is asked first. Where something is (somebody
was killed before the cursor moved), and for small tables, rows go through a temporary table and only new ones enter;
one that is there with other content stops everything, because then two ledgers have the same number.

Each batch is one transaction. Its last step looks for rows of any host that tell of the same inference, one host at a
time, so that of two batches that arrive together the later one sees the earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from agent_ledger import clock, pricebook, shipped
from agent_ledger.errors import LedgerError, SinkDown
from agent_ledger.hookspecs import Batch, Host, Sink, Target, hookimpl
from agent_ledger.pricing import RateKey
from agent_ledger.ship_rows import copy_text
from agent_ledger.sinks import postgres_schema
from agent_ledger.sinks.postgres_schema import COUNTED, LOCK

_PIECE: Final = 1_000  # rows
_DEFAULTS: Final = {"connect_timeout": "10", "tcp_user_timeout": "30000", "application_name": "agent-ledger ship"}
# What a server says to who may not come in, however often he knocks.
_FINAL: Final = (
    "authentication failed",
    "does not exist",
    "no password supplied",
    "no pg_hba.conf entry",
    "not permitted",
)


class Postgres:
    """A database on a PostgreSQL server."""

    name = "PostgreSQL"
    form = "postgresql://USER@HOST/DATABASE"
    batch_rows = 50_000

    def accepts(self, destination: str) -> bool:
        return destination.startswith(("postgresql://", "postgres://"))

    def address(self, destination: str) -> str:
        try:
            url = urlsplit(destination)
            host = url.hostname or next(iter(parse_qs(url.query).get("host", ())), "localhost")
            return f"postgresql://{host}:{url.port or 5432}/{url.path.strip('/') or 'postgres'}"
        except ValueError as error:
            raise LedgerError(f"the destination makes no sense ({error}): give {self.form}") from None

    def open(self, destination: str, host: Host) -> Target:
        psycopg = _psycopg()
        address = self.address(destination)
        try:
            given = psycopg.conninfo.conninfo_to_dict(destination)
            connection = psycopg.connect(**{**_DEFAULTS, **given}, autocommit=True)
        except psycopg.ProgrammingError as error:
            raise LedgerError(f"the destination makes no sense ({_words(error)}): give {self.form}") from None
        except psycopg.OperationalError as error:
            words = _words(error)
            if any(sign in words for sign in _FINAL):
                raise LedgerError(f"{address} refuses: {words}; check user, password and database") from None
            raise SinkDown(f"{address} does not answer: {words}") from None
        target = _Database(connection, address, host)
        try:
            target.prepare()
        except BaseException:
            target.close()
            raise
        return target


class _Database:
    def __init__(self, connection: Any, address: str, host: Host) -> None:
        self._connection = connection
        self._address = address
        self._host = host
        self._months: set[tuple[str, str]] = set()

    def prepare(self) -> None:
        """Make what is missing. Raises LedgerError where something else is in its place."""
        with self._explained():
            self._execute("set client_min_messages = warning; set jit = off")  # a batch is no reason to compile
            postgres_schema.prepare(self._connection, self._address)
            self._execute(
                "insert into host (number, name) values (%s, %s)"
                " on conflict (number) do update set name = excluded.name where host.name <> excluded.name",
                (self._host.number, self._host.name),
            )

    def close(self) -> None:
        with suppress(Exception):
            self._connection.close()

    def write(self, batch: Batch) -> None:
        with self._explained():
            if batch.table in postgres_schema.PARTITIONED:
                self._add_months(batch)
            with self._connection.transaction():
                if self._is_new(batch):
                    self._copy_batch(batch)
                else:
                    self._merge(batch)
                if batch.table in COUNTED:
                    self._count(batch)

    def replace(self, batch: Batch) -> None:
        with self._explained(), self._connection.transaction():
            self._execute(f"delete from {batch.table} where host = %s", (self._host.number,))
            self._copy(batch.table, batch.columns, batch.rows)

    def settle(self) -> None:
        """Work out the rates anew, where prices or what needs one have come."""
        with self._explained():
            if self._execute(_RATES_ARE_OLD)[0][0] is False:
                return
            with self._connection.transaction():
                self._lock()
                (state,) = self._execute(_RATES_STATE)[0]
                names = ("id", *shipped.columns("price_revision"))
                found = self._execute(f"select {', '.join(names)} from price_revision")
                keys = self._execute("select distinct model, provider, service_tier, region from host_rate_key")
                rates, reasons = pricebook.rates(
                    [dict(zip(names, row, strict=True)) for row in found], [RateKey(*key) for key in keys]
                )
                self._execute("delete from rate")
                self._copy("rate", pricebook.RATE_COLUMNS, rates)
                self._execute("delete from rate_key")
                now = clock.now()
                self._copy("rate_key", tuple(shipped.columns("rate_key")), [(*row[:4], now, row[4]) for row in reasons])
                self._execute(
                    "insert into ledger_meta (key, value) values ('rates_from', %s)"
                    " on conflict (key) do update set value = excluded.value",
                    (state,),
                )

    def _add_months(self, batch: Batch) -> None:
        months = {(batch.table, month) for month in batch.months} - self._months
        if months:
            postgres_schema.add_months(self._connection, months)
            self._months |= months

    def _is_new(self, batch: Batch) -> bool:
        """Is it certain that none of the rows is there?"""
        if batch.table not in postgres_schema.LARGE:
            return False
        found = self._execute(
            f"select exists (select 1 from {batch.table} where host = %s and id between %s and %s)",
            (self._host.number, *self._ids(batch)),
        )
        return not found[0][0]

    def _ids(self, batch: Batch) -> tuple[int, int]:
        """The first and the last id that a row of the batch can have there."""
        base = self._host.number << shipped.ROW_BITS
        return base | batch.first, base | batch.last

    def _merge(self, batch: Batch) -> None:
        """Add the rows that are not there, and see that the others are the same."""
        table = batch.table
        same = " and ".join(f"there.{name} = came.{name}" for name in ("host", *postgres_schema.KEYS[table]))
        self._execute(f"create temp table came (like {table}) on commit drop")
        self._copy("came", batch.columns, batch.rows)
        self._execute(
            f"insert into {table} select * from came where not exists (select 1 from {table} as there where {same})"
        )
        other = self._execute(
            f"select to_json(came)::text from came join {table} as there on {same}"
            " where row(there.*) is distinct from row(came.*) limit 1"
        )
        self._execute("drop table came")
        if other:
            raise LedgerError(
                f"{table} of {self._address} has a row of this ledger with other content: the file is a copy of another"
                " ledger, or comes from a backup; --as-new ships all of it as of another host"
            )

    def _count(self, batch: Batch) -> None:
        """Say which rows do not count now, as sql/far has it, among those that the batch has to do with."""
        table, marks, ranks = batch.table, *COUNTED[batch.table]
        self._lock()
        first, last = self._ids(batch)
        known = None if batch.alike is None else list(batch.alike)
        told = {"host": self._host.number, "first": first, "last": last, "known": known}
        alike = [row[0] for row in self._execute(postgres_schema.ALIKE[table], told)]
        if not alike:
            return
        # Names of a WITH stand before tables of the same name: the statements of sql/far read these rows alone.
        ranked, marked = (postgres_schema.views()[name].replace("%", "%%") for name in (ranks, marks))
        self._execute(
            f"with {table} as materialized (select * from {table} where id = any(%(alike)s)),"
            f" {ranks} as materialized ({ranked})"
            f" insert into {marks} as known (id, by_id, reason) select id, by_id, reason from ({marked}) as said"
            " on conflict (id) do update set by_id = excluded.by_id, reason = excluded.reason"
            " where excluded.by_id < known.by_id",
            {"alike": alike},
        )

    def _lock(self) -> None:
        """Until the transaction ends: what comes next is done by one at a time."""
        self._execute("select pg_advisory_xact_lock(%s)", (LOCK,))

    def _copy_batch(self, batch: Batch) -> None:
        if batch.lines is None:
            self._copy(batch.table, batch.columns, batch.rows)
        else:
            self._copy_text(batch.table, batch.columns, batch.lines(), null="")

    def _copy(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        pieces = (copy_text(rows[start : start + _PIECE]) for start in range(0, len(rows), _PIECE))
        self._copy_text(table, columns, pieces, null=r"\N")

    def _copy_text(self, table: str, columns: Sequence[str], pieces: Iterable[str], *, null: str) -> None:
        named = ", ".join(f'"{name}"' for name in columns)
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"copy {table} ({named}) from stdin (null '{null}')") as copy,
        ):
            for piece in pieces:  # the server stores one while we make the next
                copy.write(piece)

    def _execute(self, statement: str, values: Any = None) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def _explained(self) -> Iterator[None]:
        psycopg = _psycopg()
        try:
            yield
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise SinkDown(f"{self._address} can't take rows now: {_words(error)}") from None
        except psycopg.errors.UniqueViolation as error:
            raise SinkDown(f"{self._address} is being written by another shipper: {_words(error)}") from None
        except psycopg.Error as error:
            raise LedgerError(f"{self._address} refuses: {_words(error)}; check the rights of the user") from None


_RATES_STATE: Final = """
  select concat_ws(' ', (select count(*) from price_revision), (select max(id) from price_revision),
    (select count(*) from (select distinct model, provider, service_tier, region from host_rate_key) as key))
"""
_RATES_ARE_OLD: Final = (
    f"select ({_RATES_STATE}) is distinct from (select value from ledger_meta where key = 'rates_from')"
)


def _words(error: Exception) -> str:
    """What the server says, without its second lines."""
    diagnosis = getattr(error, "diag", None)
    text = getattr(diagnosis, "message_primary", None) or str(error)
    return " ".join((text.strip().splitlines() or [type(error).__name__])[0].split())


def _psycopg() -> Any:
    try:
        return import_module("psycopg")
    except ImportError:
        raise LedgerError("PostgreSQL needs psycopg: pip install 'agent-cost-ledger[postgres]'") from None


@hookimpl
def register_sinks(register: Any) -> None:
    """Offer this sink."""
    sink: Sink = Postgres()
    register(sink)
