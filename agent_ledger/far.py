"""Reading at an address what is otherwise read from a ledger file: the same statements, over the same views.

Whoever only asks takes a `Selects`: a SQLite connection to a file is one, and so is a `Far`, which says each statement
in the dialect of its engine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from agent_ledger import dialects, parquet_views
from agent_ledger.errors import LedgerError, NotALedger
from agent_ledger.selecting import Rows

COLUMNS_OF: Final = "select name, type from pragma_table_info(?)"
"""The statement that asks for the columns of a view or table."""


Run = Callable[[str], tuple[Sequence[str], Iterable[Sequence[Any]]]]


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine is; what is shown of it has neither user nor password."""

    text: str = field(repr=False)

    def __str__(self) -> str:
        return _shown(self.text)


class Far:
    """The views at an address, read only; it follows `Selects`. `run` asks one statement in the engine's dialect."""

    def __init__(self, dialect: str, address: str, run: Run) -> None:
        self._dialect = dialect
        self._address = address
        self._run = run

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), /) -> Rows:
        """Raises LedgerError for what is no question, and where the engine does not answer."""
        if sql == "begin":  # whoever opens a Far sees to it that it reads one moment, as far as the engine can
            return Rows()
        if sql == COLUMNS_OF and isinstance(parameters, Sequence):
            return Rows(("name", "type"), dialects.columns(parameters[0]).items())
        if not sql.lstrip().lower().startswith(("select", "with")):
            raise LedgerError(f"{self._address} is only read: this takes a ledger file")
        said = dialects.statement(self._dialect, sql, parameters)
        return Rows() if said is None else Rows(*self._run(said))


def is_address(text: str) -> bool:
    """Is it the address of an engine or a folder of Parquet files, and not the path of a ledger file?"""
    return _scheme(text) in _OPENED or Path(text).is_dir()


def check_folder(folder: Path) -> None:
    """Raises NotALedger where it is no folder that ledgers were shipped to."""
    if folder.is_file():
        raise NotALedger(f"{folder} is no folder of Parquet files: agent-ledger ship {folder} FOLDER/ makes one")
    if not (folder / "ledger").is_dir() or not (folder / "rate").is_dir():
        raise NotALedger(f"{folder} has no ledger: agent-ledger ship LEDGER {folder}/ makes one")


def _scheme(text: str) -> str:
    return text.partition("://")[0].lower() if "://" in text else ""


@contextmanager
def reading(address: Address) -> Iterator[Far]:
    """The views at an address. Raises LedgerError, which says no password; NotALedger where there are none."""
    with _OPENED.get(_scheme(address.text), _folder)(address.text) as far:
        yield far


@contextmanager
def _postgres(address: str) -> Iterator[Far]:
    psycopg = _library("psycopg", "PostgreSQL", "postgres")
    shown = _shown(address)
    try:
        connection = psycopg.connect(address, connect_timeout=10)
    except psycopg.Error as error:
        raise LedgerError(f"{shown} can't be opened: {_words(error, address)}") from None
    with closing(connection):
        # One transaction that only reads, and sees one moment.
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

        def run(sql: str) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
            try:
                found = connection.execute(sql)
            except psycopg.errors.UndefinedTable:
                raise NotALedger(f"{shown} has no ledger: agent-ledger ship LEDGER {shown} makes one") from None
            except psycopg.Error as error:
                raise LedgerError(f"{shown} does not answer: {_words(error, address)}") from None
            return [column.name for column in found.description or ()], found

        yield Far("postgres", shown, run)


@contextmanager
def _clickhouse(address: str) -> Iterator[Far]:
    library = _library("clickhouse_connect", "ClickHouse", "clickhouse")
    shown = _shown(address)
    try:
        client = library.get_client(**clickhouse_options(address), settings={"readonly": 2})
    except Exception as error:  # the client has errors of its own, and those of the libraries below it
        raise LedgerError(f"{shown} can't be opened: {_words(error, address)}") from None
    with closing(client):

        def run(sql: str) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
            try:
                found = client.query(sql)
            except Exception as error:
                if "UNKNOWN_TABLE" in str(error):
                    raise NotALedger(f"{shown} has no ledger: agent-ledger ship LEDGER {shown} makes one") from None
                raise LedgerError(f"{shown} does not answer: {_words(error, address)}") from None
            return found.column_names, found.result_rows

        yield Far("clickhouse", shown, run)


@contextmanager
def _folder(path: str) -> Iterator[Far]:
    library = _library("duckdb", "a folder of Parquet files", "duckdb")
    check_folder(Path(path))
    with closing(library.connect()) as connection:
        made: set[str] = set()

        def run(sql: str) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
            try:
                wanted = parquet_views.statements(Path(path), connection.get_table_names(sql) - made)
                for name, statement in wanted.items():
                    if name not in made:  # what was made stays as it is: its rows are of one moment
                        connection.execute(statement)
                        made.add(name)
                found = connection.execute(sql)
                return [column[0] for column in found.description or ()], found.fetchall()
            except library.Error as error:
                raise LedgerError(f"{path} can't be read: {_words(error, path)}") from None

        yield Far("duckdb", path, run)


def clickhouse_options(address: str) -> dict[str, Any]:
    """clickhouse://USER:PASSWORD@HOST:PORT/DATABASE, as the client takes it; `?secure=true` for TLS. Without a password
    it is that of CLICKHOUSE_PASSWORD, where clickhouse-client looks for it.

    Raises LedgerError where it makes no sense.
    """
    try:
        url = urlsplit(address)
        options: dict[str, Any] = {"host": url.hostname or "localhost"}
        if url.port:
            options["port"] = url.port
    except ValueError as error:
        raise LedgerError(f"the address makes no sense ({error}): give clickhouse://USER@HOST/DATABASE") from None
    if url.username:
        options["username"] = unquote(url.username)
    if password := unquote(url.password or "") or os.environ.get("CLICKHOUSE_PASSWORD"):
        options["password"] = password
    if url.path.strip("/"):
        options["database"] = unquote(url.path.strip("/"))
    options["secure"] = parse_qs(url.query).get("secure", ["false"])[-1].lower() in ("true", "1", "yes")
    return options


_OPENED: Final = {"postgresql": _postgres, "postgres": _postgres, "clickhouse": _clickhouse}


def _shown(address: str) -> str:
    """The address without user, password and options."""
    if not _scheme(address):
        return address
    try:
        url = urlsplit(address)
        host = url.hostname or next(iter(parse_qs(url.query).get("host", ())), "localhost")
        port = f":{url.port}" if url.port else ""
    except ValueError as error:
        raise LedgerError(f"the address makes no sense ({error})") from None
    return f"{url.scheme}://{host}{port}{url.path}"


def _words(error: Exception, address: str) -> str:
    """What a library says, on one line and without the password."""
    text = " ".join(str(error).split()) or type(error).__name__
    password = urlsplit(address).password
    for secret in {password, unquote(password)} if password else ():
        text = text.replace(secret, "***")
    return text[:300]


def _library(name: str, engine: str, extra: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise LedgerError(f"{engine} needs {name}: pip install 'agent-cost-ledger[{extra}]'") from None
