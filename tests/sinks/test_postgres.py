"""PostgreSQL: a real server, with the tables and views of a ledger."""

from __future__ import annotations

import random
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import accounts
import pytest
from old_rows import past
from one_ledger import SUMS, figures, one_ledger
from postgres_server import Server, connect, rows
from support import add_bill, call, price, query, raw

from agent_ledger import Ledger, shipping
from agent_ledger.errors import LedgerError, SinkDown
from agent_ledger.hookspecs import Batch, Host
from agent_ledger.ship_rows import copy_text
from agent_ledger.shipping import Shipper
from agent_ledger.sinks import postgres, postgres_schema
from agent_ledger.sinks.postgres import Postgres

pytestmark = [pytest.mark.usefixtures("no_sources"), pytest.mark.filterwarnings("ignore::ResourceWarning")]


def ship(ledger: Ledger | Path, database: str, *, batch_rows: int = 25_000) -> int:
    path = ledger.path if isinstance(ledger, Ledger) else ledger
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Postgres, "batch_rows", batch_rows)
        with Shipper(path, database) as shipper:
            return shipper.ship()


def assert_same(database: str, ledger: Ledger | Path) -> None:
    """Every sum is to the last digit what the ledger says."""
    with connect(database) as connection:
        for view in SUMS:
            found = figures(connection.execute(f"select * from {view}").fetchall())
            assert found == figures(query(ledger, f"select * from {view}")), view


# -- what arrives -----------------------------------------------------------------------------------------------------


def test_everything_arrives_and_every_sum_is_the_same(ledger: Ledger, database: str) -> None:
    past(ledger, calls=200)
    with raw(ledger) as connection:
        add_bill(connection)
    assert ship(ledger, database, batch_rows=50) > 300
    with connect(database) as connection:
        for table in ("ledger", "audit", "charge", "delivery", "allocation", "superseded_call", "superseded_tool_call"):
            there = connection.execute(f"select count(*), count(distinct ctid) from {table}").fetchone()
            assert there[0] == query(ledger, f"select count(*) from {table}")[0][0], table
        columns = "id & ((1::bigint << 33) - 1), ts, agent_id, customer_id, session_id, usage, reported_cost_usd"
        found = connection.execute(f"select {columns} from ledger order by id").fetchall()
    assert found == query(
        ledger, "select id, ts, agent_id, customer_id, session_id, usage, reported_cost_usd from ledger order by id"
    )
    assert_same(database, ledger)
    assert ship(ledger, database) == 0
    names = [name for (name,) in rows(database, "select name from host")]
    assert len(names) == 1


def test_calls_are_divided_by_months(ledger: Ledger, database: str) -> None:
    for ts in ("2026-01-31T23:59:59.999Z", "2026-02-01", "2026-12-31", "1999-01-01", "9998-01-01"):
        ledger.record_call(**call(request_id=ts, ts=ts))
    ship(ledger, database)
    found = rows(database, "select tableoid::regclass::text, count(*) from ledger group by 1 order by 1")
    assert [(name.rpartition(".")[2], count) for name, count in found] == [
        ("ledger_2026_01", 1), ("ledger_2026_02", 1), ("ledger_2026_12", 1), ("ledger_other", 2),
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["a\tb", "a\nb\rc", "\\N", "\\", "", "🦊", "'\"", "\x01"])
def test_any_text_arrives_as_it_is(database: str, value: str) -> None:
    with connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("create temp table cell (one text, two bigint, three double precision, four text)")
        with cursor.copy("copy cell from stdin") as copy:
            copy.write(copy_text([(value, 1 << 62, 0.1, None), (None, None, 1e300, value)]))
        found = cursor.execute("select * from cell").fetchall()
    assert found == [(value, 1 << 62, 0.1, None), (None, None, 1e300, value)]


# -- many hosts -------------------------------------------------------------------------------------------------------


def test_accounts_of_one_inference_from_many_hosts_count_once(tmp_path: Path, database: str) -> None:
    """Whichever host ships first, and in whatever batches, as one ledger has it that recorded all of them."""
    chance = random.Random(8)
    with Ledger(tmp_path / "union.db") as union, ExitStack() as stack:
        books = [stack.enter_context(Ledger(tmp_path / f"{number}.db")) for number in range(3)]
        for number, book in enumerate(books):
            query(book, "insert into ledger_meta (key, value) values ('host', ?)", str((900, 5, 1 << 29)[number]))
        for round_ in range(3):
            for _ in range(150):
                fact = accounts.of_group(chance, chance.randrange(25) + 25 * (round_ // 2))
                for book in (chance.choice(books), union):
                    (book.record_tool_call if "tool" in fact else book.record_call)(**fact)
            for book in chance.sample(books, 3):
                ship(book, database, batch_rows=chance.choice([20, 50, 1000]))
        assert rows(database, "select count(*) > 10 from superseded_call where (id >> 33) <> (by_id >> 33)") == [
            (True,)
        ]
        for table, marks, columns in (
            (
                "ledger",
                "superseded_call",
                "request_id, response_id, part, agent_id, evidence, prompt_tokens, customer_id, ts",
            ),
            ("audit", "superseded_tool_call", "request_id, tool_call_id, agent_id, status, units, resource_id"),
        ):
            counted = f"select {columns} from {table} where id not in (select id from {marks})"
            assert figures(rows(database, counted)) == figures(query(union, counted)), table
        definition = f"select id, by_id from ({postgres_schema.views()['superseded_call']}) as said"
        assert figures(rows(database, definition)) == figures(rows(database, "select id, by_id from superseded_call"))


def test_a_price_and_an_assignment_that_one_host_knows_hold_for_all(tmp_path: Path, database: str) -> None:
    paths = [tmp_path / f"{name}.db" for name in ("one", "two", "three")]
    for number, path in enumerate(paths):
        with Ledger(path) as ledger:
            ledger.record_calls(
                call(
                    request_id=f"{number} {row}", agent_id="ab"[row % 2], model="mn"[row % 2], ts=f"2026-01-{10 + row}"
                )
                for row in range(6)
            )
    with Ledger(paths[1]) as ledger:
        ledger.set_prices([price(input=2_000_000, output=5_000_000)])
        ledger.assign("a", team="one")
        ledger.assign("b", team="two", valid_from="2026-01-12")
    for path in paths:
        ship(path, database)
    assert_same(database, one_ledger(tmp_path / "union 1.db", paths))
    with Ledger(paths[2]) as ledger:  # later, whatever the numbers of the hosts are
        ledger.assign("a", team="three", valid_from="2026-01-12")
        ledger.set_prices([price(input=3_000_000, output=7_000_000, effective_from="2026-01-13T00:00:00.000Z")])
    with Ledger(paths[0]) as ledger:
        ledger.assign("a", team="four", valid_from="2026-01-12")
        ledger.set_prices([price("n", input=1, output=1)])
    for path in paths:
        ship(path, database)
    assert_same(database, one_ledger(tmp_path / "union 2.db", paths))
    assert {team for (team,) in rows(database, "select team from cost_by_team")} == {
        "one",
        "two",
        "four",
        "(unattributed)",
    }


# -- once, whatever happens -------------------------------------------------------------------------------------------


def test_a_batch_that_comes_again_adds_nothing(ledger: Ledger, database: str) -> None:
    """The cursor is set back, as if every confirmation had been lost, and batches are cut elsewhere."""
    past(ledger, calls=40)
    ship(ledger, database)
    counts = (
        "select (select count(*) from ledger), (select count(*) from audit), (select count(*) from agent_assignment)"
    )
    before = rows(database, counts)
    ledger.record_call(**call(request_id="new"))
    with raw(ledger) as connection:
        connection.execute("delete from ship_cursor")
    ship(ledger, database, batch_rows=17)
    [(calls, *others)] = rows(database, counts)
    assert [(calls - 1, *others)] == before
    assert_same(database, ledger)


def test_a_copy_of_a_ledger_is_noticed_and_can_ship_as_another_host(
    ledger: Ledger, database: str, tmp_path: Path
) -> None:
    past(ledger, calls=40)
    ship(ledger, database)
    with raw(ledger) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    copy = Path(shutil.copy(ledger.path, tmp_path / "copy.db"))
    ledger.record_call(**call(request_id="of the first"))
    ship(ledger, database)
    with Ledger(copy) as other:
        other.record_call(**call(request_id="of the copy"))
    with pytest.raises(LedgerError, match=r"with other content: the file is a copy .* --as-new ships all of it"):
        ship(copy, database)
    with Shipper(copy, database, anew=True) as shipper:
        shipper.ship()
    assert_same(database, one_ledger(tmp_path / "union.db", [ledger.path, copy]))


def test_a_connection_that_dies_in_mid_batch_loses_nothing(ledger: Ledger, database: str, server: Server) -> None:
    past(ledger, calls=60)
    chance = random.Random(1)

    def cut(_: object) -> None:
        if chance.random() < 0.2:
            rows(
                server.address,
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'agent-ledger ship' and pid <> pg_backend_pid()",
            )

    down = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Postgres, "batch_rows", 20)
        for _ in range(100):
            try:
                with Shipper(ledger.path, database) as shipper:
                    shipper.ship(cut)
                break
            except SinkDown:
                down += 1
    assert down > 1
    assert_same(database, ledger)


def test_a_batch_is_there_as_a_whole_or_not_at_all(
    ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    past(ledger, calls=20)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(postgres._Database, "_count", fail)
    with pytest.raises(KeyboardInterrupt):
        ship(ledger, database)
    assert rows(database, "select count(*) from ledger") == [(0,)]
    monkeypatch.undo()
    ship(ledger, database)
    assert_same(database, ledger)


# -- what can't be ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("destination", "sentence"),
    [
        ("postgresql://u:hunter2@127.0.0.1:1/d", "postgresql://127.0.0.1:1/d does not answer: "),
        ("postgresql://u:hunter2@127.0.0.1:99999/d", "the destination makes no sense"),
        ("postgresql://u:hunter2@h/d?nonsense=1", 'the destination makes no sense .*"nonsense"'),
    ],
)
def test_an_address_that_leads_nowhere_is_one_sentence(ledger: Ledger, destination: str, sentence: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(LedgerError, match=sentence) as caught:
        ship(ledger, destination)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_credentials_and_a_database_that_is_not_there_end_it(ledger: Ledger, server: Server) -> None:
    if not server.ours:
        pytest.skip("another's server is left as it is")
    hba = server.folder / "pg_hba.conf"
    before = hba.read_text()
    hba.write_text(f"local all locked scram-sha-256\n{before}")
    rows(server.address, "select pg_reload_conf()")
    with connect(server.address) as connection:
        connection.execute("create role locked login password 'korrekt'")
    folder = server.folder
    try:
        for user, database, sentence in (
            ("locked:hunter2@", "postgres", "refuses: .*password authentication failed for user .locked.; check user"),
            ("nobody:hunter2@", "postgres", "refuses: .*role .nobody. does not exist"),
            ("postgres:hunter2@", "nowhere", "refuses: .*database .nowhere. does not exist"),
        ):
            with pytest.raises(LedgerError, match=sentence) as caught:
                ship(ledger, f"postgresql://{user}/{database}?host={folder}")
            assert not isinstance(caught.value, SinkDown)
            assert "hunter2" not in str(caught.value)
        with pytest.raises(LedgerError, match=r"refuses: permission denied .*; check the rights of the user"):
            ship(ledger, f"postgresql://locked:korrekt@/postgres?host={folder}")
    finally:
        hba.write_text(before)
        with connect(server.address) as connection:
            connection.execute("select pg_reload_conf()")
            connection.execute("drop role locked")


def test_tables_of_somebody_else_are_left_as_they_are(ledger: Ledger, database: str) -> None:
    with connect(database) as connection:
        connection.execute("create table ledger (id int, what text)")
    with pytest.raises(LedgerError, match="has a table ledger that is not agent-ledger's: give another database"):
        ship(ledger, database)
    assert rows(database, "select count(*) from information_schema.tables where table_schema = current_schema()") == [
        (1,)
    ]


def test_tables_of_another_version_are_said(ledger: Ledger, database: str) -> None:
    ship(ledger, database)
    with connect(database) as connection:
        connection.execute("alter table charge add later bigint")
    with pytest.raises(LedgerError, match="another table charge than this version ships: it has later; upgrade"):
        ship(ledger, database)
    with connect(database) as connection:
        connection.execute("alter table charge drop later; alter table sharing_rule alter host type int")
    with pytest.raises(LedgerError, match="types or order of its columns differ"):
        ship(ledger, database)


def test_views_of_a_newer_version_stay(ledger: Ledger, database: str) -> None:
    ship(ledger, database)
    with connect(database) as connection:
        connection.execute("update ledger_meta set value = '99.0.0 x' where key = 'views'")
        connection.execute("drop view orphan_tool_calls")
    ship(ledger, database)
    assert rows(database, "select to_regclass('orphan_tool_calls')") == [(None,)]
    with connect(database) as connection:
        connection.execute("update ledger_meta set value = '0.0.1 x' where key = 'views'")
    ship(ledger, database)
    assert rows(database, "select count(*) from orphan_tool_calls") == [(0,)]


def test_a_missing_extra_is_said(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LedgerError, match=r"needs psycopg: pip install 'agent-cost-ledger\[postgres\]'"):
        ship(ledger, "postgresql://h/d")


def test_text_that_the_server_can_not_hold_is_said(database: str) -> None:
    target = Postgres().open(database, Host(5, "h"))
    values = {"host": 5, "id": 1, "agent_id": "a\0b", "valid_from": "x", "recorded_at": "y"}
    with pytest.raises(LedgerError, match="refuses: invalid byte sequence"):
        target.write(Batch("agent_assignment", tuple(values), [tuple(values.values())], 1, 1))
    target.close()


def test_the_address_has_no_secrets() -> None:
    sink = shipping.sink_for("postgres://u:p@db.example.com:6543/costs?password=x&sslmode=require")
    assert (
        sink.address("postgres://u:p@db.example.com:6543/costs?password=x") == "postgresql://db.example.com:6543/costs"
    )
    assert sink.address("postgresql://u@/costs?host=/run/pg") == "postgresql:///run/pg:5432/costs"
    assert sink.address("postgresql://h") == "postgresql://h:5432/postgres"
