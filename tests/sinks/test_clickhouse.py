"""Shipping to ClickHouse: on the engine that chdb embeds; through the client where the environment names a server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("sqlglot")

from click.testing import CliRunner
from everything import everything
from old_rows import past
from one_ledger import SUMS, one_ledger
from support import call, query, raw

from agent_ledger import Ledger, LedgerError
from agent_ledger.cli import cli
from agent_ledger.errors import SinkDown
from agent_ledger.hookspecs import Host
from agent_ledger.shipping import Shipper
from agent_ledger.sinks import clickhouse_schema
from agent_ledger.sinks.clickhouse import ClickHouse, Database, explained

pytestmark = pytest.mark.usefixtures("no_sources")
Ask = Callable[[str], list[tuple[Any, ...]]]


class Embedded:
    """The methods of clickhouse-connect's client that the sink uses, on the engine itself."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def command(self, sql: str) -> None:
        self._session.query(sql)

    def query(self, sql: str) -> Any:
        found = self._session.query(sql, "Arrow").bytes()
        if not found:
            return SimpleNamespace(result_rows=[])
        table = pytest.importorskip("pyarrow").ipc.open_file(found).read_all()
        return SimpleNamespace(result_rows=list(zip(*(column.to_pylist() for column in table.columns), strict=True)))

    def insert(
        self, table: str, rows: Sequence[Sequence[Any]], *, column_names: Sequence[str], settings: Any = None
    ) -> None:
        from_settings = "".join(f" settings {name} = {value}" for name, value in (settings or {}).items())
        head, _, tail = clickhouse_schema.insert(table, column_names, rows).partition(" values ")
        self._session.query(f"{head}{from_settings} values {tail}")

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    found = pytest.importorskip("chdb.session").Session()
    found.query("set max_threads = 1")
    yield found
    found.close()


@pytest.fixture
def ask(session: Any, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """An empty database, which takes what is shipped to clickhouse://embedded/NAME; asks it."""
    name = f"d{uuid.uuid4().hex}"
    session.query(f"create database {name}")
    session.query(f"use {name}")

    def opened(_: ClickHouse, destination: str, host: Host) -> Database:
        database = Database(Embedded(session), destination, host, name)
        database.prepare()
        return database

    monkeypatch.setattr(ClickHouse, "open", opened)
    return lambda sql: Embedded(session).query(sql).result_rows


def ship(path: Path) -> int:
    with Shipper(path, "clickhouse://embedded/x") as shipper:
        return shipper.ship()


def same(value: Any) -> Any:
    return f"{value:.12g}" if isinstance(value, float) else value


def figures(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return sorted((tuple(same(value) for value in row) for row in rows), key=repr)


@pytest.mark.slow
def test_two_hosts_are_what_one_ledger_would_say(ask: Ask, tmp_path: Path) -> None:
    paths = [tmp_path / "one.db", tmp_path / "two.db"]
    with Ledger(paths[0]) as ledger:
        past(ledger, calls=60)
    with Ledger(paths[1]) as ledger:
        everything(ledger)
        # The same request as in the other file: one call.
        (row,) = query(paths[0], "select request_id, response_id from ledger where id = 2")
        ledger.record_call(**call(request_id=row[0], response_id=row[1], model="long", evidence="log"))
    assert all(ship(path) > 0 for path in paths)
    union = one_ledger(tmp_path / "union.db", paths)
    for view in SUMS:
        if view.startswith("all_in") or view == "cost_by_tool":
            continue  # bills are allocated in the ledger that they came to, which the union of rows does not have
        names = ", ".join(name for _, name, *_ in query(union, f"pragma table_info({view})"))
        assert figures(ask(f"select {names} from {view}")) == figures(query(union, f"select {names} from {view}")), view
    assert ask("select count() from superseded_call") == query(union, "select count(*) from superseded_call")


def test_what_is_sent_again_is_there_once(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.record_calls([call(request_id=str(number)) for number in range(5)])
        assert ship(path) > 0
        assert ship(path) == 0
        ledger.record_call(**call(request_id="more"))
    with raw(path) as connection:  # killed before the cursor moved
        connection.execute("drop trigger ship_cursor_no_way_back")
        connection.execute("update ship_cursor set shipped = 0, sending = 0")
    assert ask("select count() from ledger") == [(5,)]
    assert ship(path) > 0
    assert ask("select count(), uniqExact(id) from stored_ledger") == [(6, 6)]


def test_a_row_that_came_twice_counts_once_before_any_merge(ask: Ask, session: Any, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.record_call(**call())
    ship(path)
    session.query("system stop merges stored_ledger")
    session.query("insert into stored_ledger select * from stored_ledger")
    assert ask("select count() from stored_ledger") == [(2,)]
    assert ask("select calls from cost_by_agent") == [(1,)]


@pytest.mark.usefixtures("ask")
def test_a_copy_of_a_ledger_is_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    with Ledger(one) as ledger:
        ledger.record_call(**call())
    ship(one)
    two.write_bytes(one.read_bytes())
    for path, name in ((one, "mine"), (two, "theirs")):
        with Ledger(path) as ledger:
            ledger.record_call(**call(request_id=name))
    ship(one)
    with pytest.raises(LedgerError, match="copy of another ledger"):
        ship(two)


@pytest.mark.usefixtures("ask")
def test_another_table_of_that_name_is_refused(session: Any, tmp_path: Path) -> None:
    session.query("create table ledger (x Int64) engine = Memory")
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.record_call(**call())
    with pytest.raises(LedgerError, match="not agent-ledger's"):
        ship(tmp_path / "ledger.db")


@pytest.mark.parametrize(
    ("text", "kind"),
    [("Code: 516 AUTHENTICATION_FAILED", LedgerError), ("(TOO_MANY_PARTS)", SinkDown), ("SYNTAX", LedgerError)],
)
def test_what_a_server_says_is_explained(text: str, kind: type[LedgerError]) -> None:
    with pytest.raises(kind, match="clickhouse://h"), explained("clickhouse://h"):
        raise RuntimeError(text)


def test_an_address_says_neither_user_nor_password() -> None:
    assert ClickHouse().address("clickhouse://me:secret@h/d?secure=true") == "clickhouse://h:8443/d"


@pytest.mark.slow
def test_a_server_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    done = CliRunner().invoke(cli, ["ship", str(path), "clickhouse://me:secret@127.0.0.1:1/x", "--quiet"])
    assert done.exit_code == 1
    assert "clickhouse://127.0.0.1:1/x can't take rows now" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.skipif(
    "AGENT_LEDGER_TEST_CLICKHOUSE" not in os.environ, reason="AGENT_LEDGER_TEST_CLICKHOUSE names no server"
)
def test_a_real_server_takes_a_ledger_through_the_client(tmp_path: Path) -> None:
    """clickhouse://USER:PASSWORD@HOST/DATABASE, an empty database."""
    address = os.environ["AGENT_LEDGER_TEST_CLICKHOUSE"]
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        past(ledger, calls=60)
    with Shipper(path, address) as shipper:
        assert shipper.ship() > 0
    here = CliRunner().invoke(cli, ["report", str(path), "--by", "agent", "--json"])
    there = CliRunner().invoke(cli, ["report", address, "--by", "agent", "--json"])
    assert there.output == here.output
