"""Shipping to ClickHouse: through its client, on the engine that chdb embeds or a server that the environment names."""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlglot")

from click.testing import CliRunner
from clickhouse_bridge import CLUSTER, Bridge, bridge
from everything import everything
from old_rows import past
from one_ledger import SUMS, one_ledger
from same_rows import assert_same_rows
from support import call, price, query, raw

from agent_ledger import Ledger, LedgerError, far, shipping
from agent_ledger.cli import cli
from agent_ledger.errors import SinkDown
from agent_ledger.shipping import Shipper
from agent_ledger.sinks import clickhouse_schema
from agent_ledger.sinks.clickhouse import ClickHouse, explained

pytestmark = pytest.mark.usefixtures("no_sources")
Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    pytest.importorskip("chdb")
    with bridge(tmp_path_factory.mktemp("clickhouse")) as found:
        yield found


@pytest.fixture
def database(server: Bridge) -> Iterator[str]:
    """The name of an empty one, of the bridge's engine."""
    name = f"d{uuid.uuid4().hex}"
    server.answer({}, f"create database {name}".encode())
    yield name
    server.cut = lambda _: False


@pytest.fixture(params=["bridge", "server"])
def somewhere(request: pytest.FixtureRequest) -> str:
    """The address of an empty database, on the bridge or on a server."""
    if request.param == "bridge":
        return str(request.getfixturevalue("address"))
    if "AGENT_LEDGER_TEST_CLICKHOUSE" not in os.environ:
        pytest.skip(
            "AGENT_LEDGER_TEST_CLICKHOUSE names no server (clickhouse://USER:PASSWORD@HOST/DATABASE, an empty one)"
        )
    return os.environ["AGENT_LEDGER_TEST_CLICKHOUSE"]


@pytest.fixture
def address(server: Bridge, database: str) -> str:
    return server.address(database)


@pytest.fixture
def ask(server: Bridge, database: str) -> Iterator[Ask]:
    """Asks the database."""
    library = pytest.importorskip("clickhouse_connect")
    client = library.get_client(**far.clickhouse_options(server.address(database)))

    def asked(sql: str) -> list[tuple[Any, ...]]:
        if not sql.startswith("select"):
            client.command(sql)
            return []
        return [tuple(row) for row in client.query(sql).result_rows]

    yield asked
    client.close()


def ship(path: Path, address: str) -> int:
    with Shipper(path, address) as shipper:
        return shipper.ship()


def assert_same_view(ask: Ask, path: Path, view: str) -> None:
    names = [name for _, name, *_ in query(path, f"pragma table_info({view})")]
    sql = f"select {', '.join(names)} from {view}"
    found, wanted = ([dict(zip(names, row, strict=True)) for row in rows] for rows in (ask(sql), query(path, sql)))
    assert_same_rows(found, wanted, view)


@pytest.mark.slow
def test_two_hosts_are_what_one_ledger_would_say(ask: Ask, address: str, tmp_path: Path) -> None:
    paths = [tmp_path / "one.db", tmp_path / "two.db"]
    with Ledger(paths[0]) as ledger:
        past(ledger, calls=60)
    with Ledger(paths[1]) as ledger:
        everything(ledger)
        # The same request as in the other file: one call.
        (row,) = query(paths[0], "select request_id, response_id from ledger where id = 2")
        ledger.record_call(**call(request_id=row[0], response_id=row[1], model="long", evidence="log"))
    assert all(ship(path, address) > 0 for path in paths)
    union = one_ledger(tmp_path / "union.db", paths)
    for view in SUMS:
        if view.startswith("all_in") or view == "cost_by_tool":
            continue  # bills are allocated in the ledger that they came to, which the union of rows does not have
        assert_same_view(ask, union, view)
    assert ask("select count() from superseded_call") == query(union, "select count(*) from superseded_call")


def test_what_is_sent_again_is_there_once(ask: Ask, address: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.record_calls([call(request_id=str(number)) for number in range(5)])
        assert ship(path, address) > 0
        assert ship(path, address) == 0
        ledger.record_call(**call(request_id="more"))
    with raw(path) as connection:  # killed before the cursor moved
        connection.execute("drop trigger ship_cursor_no_way_back")
        connection.execute("update ship_cursor set shipped = 0, sending = 0")
    assert ask("select count() from ledger") == [(5,)]
    assert ship(path, address) > 0
    assert ask("select count(), uniqExact(id) from stored_ledger") == [(6, 6)]


def test_a_row_that_came_twice_counts_once_before_any_merge(ask: Ask, address: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.record_call(**call())
    ship(path, address)
    ask("system stop merges stored_ledger")
    ask("insert into stored_ledger select * from stored_ledger")
    assert ask("select count() from stored_ledger") == [(2,)]
    assert ask("select calls from cost_by_agent") == [(1,)]


def test_a_copy_of_a_ledger_is_refused(address: str, tmp_path: Path) -> None:
    one, two = tmp_path / "one.db", tmp_path / "two.db"
    with Ledger(one) as ledger:
        ledger.record_call(**call())
    ship(one, address)
    two.write_bytes(one.read_bytes())
    for path, name in ((one, "mine"), (two, "theirs")):
        with Ledger(path) as ledger:
            ledger.record_call(**call(request_id=name))
    ship(one, address)
    with pytest.raises(LedgerError, match="copy of another ledger"):
        ship(two, address)


def test_another_table_of_that_name_is_refused(ask: Ask, address: str, tmp_path: Path) -> None:
    ask("create table ledger (x Int64) engine = Memory")
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.record_call(**call())
    with pytest.raises(LedgerError, match="not agent-ledger's"):
        ship(tmp_path / "ledger.db", address)


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


def said(*arguments: object) -> str:
    """What a command prints."""
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_what_is_asked_there_is_answered_as_by_the_file(somewhere: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        past(ledger, calls=60)
    ship(path, somewhere)
    for command, *options in (
        ["report", "--by", "agent"],
        ["report", "--by", "team", "--all-in"],
        ["rows", "coverage"],
    ):
        assert said(command, somewhere, *options, "--json") == said(command, path, *options, "--json")


def test_the_password_may_be_in_the_environment(
    server: Bridge, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, place = tmp_path / "ledger.db", server.address(database).replace(":hunter2@", "@")
    with Ledger(path) as ledger:
        ledger.record_call(**call())
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "hunter2")
    assert ship(path, place) > 0
    assert "1 call" in said("report", place, "--by", "agent")


def test_a_wrong_password_and_a_database_that_is_not_there_are_one_sentence(
    server: Bridge, database: str, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    for place, sentence in (
        (server.address(database, "sesame"), "refuses: "),
        (server.address("nowhere"), "check user, password and database"),
    ):
        for command in (["ship", str(path), place], ["report", place, "--by", "agent"]):
            done = CliRunner().invoke(cli, command)
            assert done.exit_code == 1
            assert len(done.stderr.splitlines()) == 1
            assert command[0] == "report" or sentence in done.stderr
            assert "sesame" not in done.stderr
            assert "hunter2" not in done.stderr
    assert query(path, "select * from ship_cursor") == []


@pytest.mark.slow
def test_a_connection_that_dies_at_any_statement_loses_nothing(
    server: Bridge, ask: Ask, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, chance, cuts = tmp_path / "ledger.db", random.Random(5), 0
    with Ledger(path) as ledger:
        past(ledger, calls=60)
    ship(path, address)  # the tables are there

    def cut(statement: str) -> bool:
        nonlocal cuts
        cuts += (found := statement.lower().startswith("insert") and chance.random() < 0.3)
        return found

    monkeypatch.setattr(ClickHouse, "batch_rows", 10)
    monkeypatch.setattr(shipping.time, "sleep", lambda _: None)
    server.cut = cut
    with Ledger(path) as ledger:
        ledger.record_calls(call(request_id=f"more {number}") for number in range(100))
    for _ in range(20):
        try:
            with Shipper(path, address) as shipper:
                shipping.keep_shipping(shipper, every=None, say=lambda _: None)
            break
        except SinkDown:
            continue
    assert cuts > 3
    assert ask("select count(), uniqExact(id) from stored_ledger") == query(
        path, "select count(*), count(distinct id) from ledger"
    )
    assert_same_view(ask, path, "cost_by_agent")


def cluster_of(address: str) -> str:
    return f"{address}?cluster={CLUSTER}"


@pytest.mark.slow
def test_a_cluster_says_what_one_server_says(ask: Ask, address: str, tmp_path: Path) -> None:
    """Of one node, which is all that the embedded engine can be, with Distributed tables."""
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        past(ledger, calls=60)
    ship(path, cluster_of(address))
    with Ledger(path) as ledger:
        ledger.record_call(**call(request_id="more"))
        ledger.set_prices([price(input=7, output=5)])
    ship(path, cluster_of(address))
    assert ship(path, cluster_of(address)) == 0
    engines = dict(ask("select name, engine from system.tables where database = currentDatabase()"))
    assert engines["spread_ledger"] == engines["spread_audit"] == "Distributed"
    assert ask("select count(), uniqExact(id) from spread_ledger") == query(
        path, "select count(*), count(distinct id) from ledger"
    )
    for view in SUMS:
        assert_same_view(ask, path, view)
    with pytest.raises(LedgerError, match=r"has the tables of a cluster: add \?cluster=NAME"):
        ship(path, address)


@pytest.mark.slow
def test_who_was_killed_while_the_tables_of_a_cluster_were_made_goes_on(
    server: Bridge, ask: Ask, address: str, tmp_path: Path
) -> None:
    """Before each of them once: what is there by then is never taken for a single server's."""
    path, cuts = tmp_path / "ledger.db", set[str]()
    with Ledger(path) as ledger:
        ledger.record_call(**call())

    def cut(statement: str) -> bool:
        is_new = statement.startswith("create table if not exists s") and statement not in cuts
        cuts.update({statement} if is_new else ())
        return is_new

    server.cut = cut
    while len(cuts) < len(clickhouse_schema.KEYS) + 2:
        with suppress(SinkDown):
            ship(path, cluster_of(address))
    ship(path, cluster_of(address))
    assert ask("select calls from cost_by_agent") == [(1,)]


@pytest.mark.parametrize("table", sorted(clickhouse_schema.KEYS))
def test_the_tables_of_a_cluster_are_replicated_by_shard_or_everywhere(server: Bridge, table: str) -> None:
    """The embedded engine reads the statement, and has no other replica to run it with."""
    statement = clickhouse_schema.create(table, table, CLUSTER)
    said = server.answer({}, f"select formatQuerySingleLine({clickhouse_schema.quoted(statement)})".encode()).decode()
    where = r"{shard}\', \'{replica}\'" if table in ("ledger", "audit") else r"all\', \'{shard}-{replica}\'"
    assert f"CREATE TABLE IF NOT EXISTS {table} ON CLUSTER {CLUSTER} " in said
    assert rf"ReplicatedReplacingMergeTree(\'/clickhouse/tables/{{uuid}}/{where})" in said


@pytest.mark.slow
def test_the_tables_of_a_server_do_not_become_those_of_a_cluster(address: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    ship(path, address)
    with pytest.raises(LedgerError, match=r"tables of a single server: leave \?cluster out"):
        ship(path, cluster_of(address))
