"""The file: what is refused untouched, how it is upgraded, and what its tables refuse by themselves."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support import NOON, add_delivery, call, query, raw, tool_call

from agent_ledger import Ledger, LedgerError, NotALedger, schema
from agent_ledger.ledger import reading

FACTS = (
    "ledger", "audit", "charge", "price_revision", "tool_price", "agent_assignment", "delivery", "provider_usage",
    "exchange_rate", "allocation_rule", "sharing_rule",
)  # fmt: skip


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file of a folder and a digest of its bytes."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def sqlite_file(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_a_fresh_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    assert os.listdir(tmp_path) == ["ledger.db"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma application_id").fetchone() == (0x41474C44,)
        assert connection.execute("pragma user_version").fetchone() == (schema.newest_version(),)
        tables = {name for (name,) in connection.execute("select name from sqlite_schema where type = 'table'")}
        views = {name for (name,) in connection.execute("select name from sqlite_schema where type = 'view'")}
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    assert tables == set(schema.scripts("tables"))
    assert views == set(schema.scripts("views"))


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    with Ledger(path) as ledger:
        assert ledger.record_call(**call(provider="nobody")) is True


def test_opening_again_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    before = fingerprint(tmp_path)
    Ledger(path).close()
    assert fingerprint(tmp_path) == before


class TestRefused:
    """What is not a ledger stays as it is, to the byte, with no -wal, -shm or -journal beside it."""

    def refused(self, path: Path, message: str, reading_too: bool = True) -> None:
        folder = path.parent
        before = fingerprint(folder) if folder.is_dir() else {}
        with pytest.raises(NotALedger, match=message):
            Ledger(path)
        if reading_too:
            with pytest.raises(NotALedger, match=message), reading(path):
                pass
        assert (fingerprint(folder) if folder.is_dir() else {}) == before

    def test_not_sqlite(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("Dear diary, " * 100)
        self.refused(path, "is not an agent-ledger file but something else: give another path")

    @pytest.mark.parametrize("mode", ["delete", "wal"])
    def test_the_sqlite_file_of_another_application(self, tmp_path: Path, mode: str) -> None:
        path = tmp_path / "other.db"
        sqlite_file(path, f"pragma journal_mode = {mode}", "create table ledger (id)", "pragma user_version = 1")
        self.refused(path, "is a SQLite file of another application: give another path")

    def test_a_newer_version(self, tmp_path: Path) -> None:
        path = tmp_path / "ledger.db"
        Ledger(path).close()
        sqlite_file(path, f"pragma user_version = {schema.newest_version() + 1}")
        self.refused(path, r"written by a newer agent-ledger .*: upgrade with `pip install -U agent-cost-ledger`")

    def test_a_folder(self, tmp_path: Path) -> None:
        self.refused(tmp_path, "is a folder: give the path of a ledger file")

    def test_memory(self) -> None:
        self.refused(Path(":memory:"), "give a path instead of :memory:")
        assert not Path(":memory:").exists()

    def test_a_missing_folder(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "no" / "ledger.db", "there is no folder .*: make it first")
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("size", [1, 50, 99])
    def test_a_header_that_is_cut_off(self, tmp_path: Path, size: int) -> None:
        path = tmp_path / "ledger.db"
        Ledger(path).close()
        path.write_bytes(path.read_bytes()[:size])
        self.refused(path, "another path|another application|cut off|can't be opened as a ledger|is cut off")

    @pytest.mark.parametrize("size", [100, 2000, 5000])
    def test_a_ledger_that_is_cut_off(self, tmp_path: Path, size: int) -> None:
        path = tmp_path / "ledger.db"
        Ledger(path).close()
        path.write_bytes(path.read_bytes()[:size])
        before = path.read_bytes()
        with pytest.raises(NotALedger, match=r"can't be opened as a ledger|is cut off"):
            Ledger(path)
        assert os.listdir(tmp_path) == ["ledger.db"]
        # A reader of a WAL file may leave an empty -wal and -shm: SQLite lets it make them, but not remove them.
        with pytest.raises(LedgerError), reading(path) as connection:
            connection.execute("select * from ledger").fetchall()
        assert path.read_bytes() == before

    def test_reading_what_does_not_exist(self, tmp_path: Path) -> None:
        with pytest.raises(NotALedger, match="does not exist: `agent-ledger init"), reading(tmp_path / "ledger.db"):
            pass
        assert os.listdir(tmp_path) == []


# -- views ------------------------------------------------------------------------------------------------------------


def stored_view(path: Path, name: str = "usage") -> str:
    return str(query(path, "select sql from sqlite_schema where type = 'view' and name = ?", name)[0][0])


def replace_view(path: Path, sql: str, views_from: str | None = None) -> None:
    sqlite_file(path, "drop view usage", sql)
    if views_from:
        sqlite_file(path, f"update ledger_meta set value = '{views_from}' where key = 'views_from'")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with one call, closed."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.record_call(**call(provider="nobody"))
    return tmp_path / "ledger.db"


def test_views_document_themselves(path: Path) -> None:
    for name in schema.scripts("views"):
        assert "Grain:" in stored_view(path, name)


@pytest.mark.parametrize("wrong", ["create view usage as select 1 as id", "create table other (x)"])
def test_a_view_that_differs_or_is_missing_is_refreshed(path: Path, wrong: str) -> None:
    sound = stored_view(path)
    replace_view(path, wrong)
    Ledger(path).close()
    assert stored_view(path) == sound


def test_an_older_package_does_not_put_older_views_back(path: Path) -> None:
    newer = 'CREATE VIEW "usage" AS select *, 1 as news from ledger'
    replace_view(path, newer, views_from="99.0.0")
    with Ledger(path) as ledger:
        assert stored_view(path) == newer
        [row] = ledger.rows("usage")
        assert "news" not in row, "but this package reads through its own"


def test_reading_with_other_views_writes_nothing(path: Path) -> None:
    replace_view(path, "create view usage as select 1 as id")
    before = path.read_bytes()
    with reading(path) as connection:
        assert connection.execute("select prompt_tokens from usage").fetchone()[0] == 100
    assert path.read_bytes() == before
    assert stored_view(path) == "CREATE VIEW usage as select 1 as id"


@pytest.mark.parametrize(("one", "other"), [("0.10.0", "0.9.0"), ("1.0.0", "0.99.99"), ("0.1.1", "0.1.0")])
def test_releases_are_compared_as_numbers(one: str, other: str) -> None:
    assert schema._release(one) > schema._release(other)


# -- migrations -------------------------------------------------------------------------------------------------------


@pytest.fixture
def migrations(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Migrations of a later version of this package, to be filled in."""
    later: dict[str, str] = {}
    shipped = schema.scripts
    monkeypatch.setattr(schema, "scripts", lambda folder: later if folder == "migrations" else shipped(folder))
    monkeypatch.setattr(schema, "newest_version", lambda: 1 + len(later))
    return later


def test_migrations_run_forward_in_order_and_once(path: Path, migrations: dict[str, str]) -> None:
    migrations["0002_more"] = "create table more (x integer) strict;\ninsert into more values (1)"
    Ledger(path).close()
    migrations["0003_again"] = "alter table more add column y integer;\nupdate more set y = x + 1"
    for _ in range(2):
        Ledger(path).close()
    assert query(path, "select x, y from more") == [(1, 2)]
    assert query(path, "pragma user_version") == [(3,)]
    assert query(path, "select count(*) from ledger") == [(1,)]


@pytest.mark.parametrize(
    "broken",
    [
        "create table half (x integer);\ninsert into nowhere values (1)",
        "create table half (x integer);\ncreate table ledger (x integer)",
        "create table half (x integer);\nupdate ledger set agent_id = 'x'",
    ],
)
def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path, migrations: dict[str, str], broken: str) -> None:
    migrations["0002_sound"] = "create table sound (x integer)"
    migrations["0003_broken"] = broken
    with closing(sqlite3.connect(path)) as connection:
        before = list(connection.iterdump())
    with pytest.raises(NotALedger, match="can't be opened as a ledger"):
        Ledger(path)
    with closing(sqlite3.connect(path)) as connection:
        assert list(connection.iterdump()) == before
        assert connection.execute("pragma user_version").fetchone() == (1,)
    migrations.clear()
    with Ledger(path) as ledger:
        assert len(ledger.rows("usage")) == 1


# -- reading only -----------------------------------------------------------------------------------------------------


def test_a_reader_can_not_write(path: Path) -> None:
    with reading(path) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("insert into ledger_meta values ('x', 'y')")


def test_a_file_and_folder_that_are_read_only_can_be_read(path: Path) -> None:
    """Root may write anyway; then this shows only that reading leaves the folder as it is."""
    before = fingerprint(path.parent)
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        with reading(path) as connection:
            assert connection.execute("select count(*) from usage").fetchone()[0] == 1
        assert set(fingerprint(path.parent)) >= set(before)
    finally:
        path.parent.chmod(0o755)
    assert fingerprint(path.parent)["ledger.db"] == before["ledger.db"]


def test_where_sqlite_may_not_make_its_files_the_file_is_read_as_immutable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What root can't show with chmod: the first connection fails as it does in a folder that is read-only."""
    connect = sqlite3.connect
    asked: list[str] = []

    class Unreadable(sqlite3.Connection):
        def execute(self, *_: Any) -> sqlite3.Cursor:
            raise sqlite3.OperationalError("unable to open database file")

    def refusing(database: str, **options: Any) -> sqlite3.Connection:
        asked.append(database)
        return connect(database, **options, **({"factory": Unreadable} if "mode=ro" in database else {}))

    monkeypatch.setattr(sqlite3, "connect", refusing)
    with closing(schema.open_for_reading(path)) as connection:
        assert connection.execute("select count(*) from ledger").fetchone() == (1,)
    assert [uri.partition("?")[2] for uri in asked] == ["mode=ro&immutable=1", "mode=ro", "immutable=1"]


@pytest.mark.parametrize("name", ["with space.db", "100%.db", "a?b#c.db", "Übung.db"])
def test_paths_with_signs_that_mean_something_in_a_uri(tmp_path: Path, name: str) -> None:
    with Ledger(tmp_path / name) as ledger:
        ledger.record_call(**call(provider="nobody"))
        assert len(ledger.rows("usage")) == 1


# -- what the tables refuse by themselves -----------------------------------------------------------------------------


def charge(**changes: Any) -> dict[str, Any]:
    period = {"period_start": NOON, "period_end": "2026-01-15T13:00:00.000Z"}
    return {"charge_id": "c", **period, "provider": "aws", "cost": "1.5", "cost_picos": 15 * 10**11, **changes}


def provider_usage(**changes: Any) -> dict[str, Any]:
    period = {"period_start": NOON, "period_end": "2026-01-15T13:00:00.000Z"}
    return {"usage_id": "u", **period, "provider": "openai", "requests": 1, **changes}


def delivery(**changes: Any) -> dict[str, Any]:
    row = {"format": "cur", "bill": "aws 1", "billing_period": "2026-01", "content": "charges", "name": "n"}
    return row | changes


def exchange_rate(**changes: Any) -> dict[str, Any]:
    return {"currency": "EUR", "effective_from": NOON, "usd": 1.08, **changes}


def allocation_rule(**changes: Any) -> dict[str, Any]:
    return {"name": "r", "method": "weighted", **changes}


def sharing_rule(**changes: Any) -> dict[str, Any]:
    return {"method": "even", **changes}


def revision(**changes: Any) -> dict[str, Any]:
    return {"recorded_at": NOON, "source": "s", "priority": 1, "model": "m", "input": 1, **changes}


def tool_price(**changes: Any) -> dict[str, Any]:
    return {"tool": "t", "effective_from": NOON, "price": 1, **changes}


def assigned(**changes: Any) -> dict[str, Any]:
    return {"agent_id": "a", "valid_from": NOON, "team": "x", **changes}


MAKE = {
    "ledger": call, "audit": tool_call, "charge": charge, "price_revision": revision, "tool_price": tool_price,
    "agent_assignment": assigned, "delivery": delivery, "provider_usage": provider_usage,
    "exchange_rate": exchange_rate, "allocation_rule": allocation_rule,
    "sharing_rule": sharing_rule,
}  # fmt: skip


def insert(connection: sqlite3.Connection, table: str, **changes: Any) -> None:
    fields = MAKE[table](**changes)
    if table in ("charge", "provider_usage"):
        fields["delivery_id"] = add_delivery(connection, name=str(connection.total_changes))
    names = ", ".join(fields)
    connection.execute(f"insert into {table} ({names}) values ({', '.join('?' * len(fields))})", list(fields.values()))


@pytest.mark.parametrize("table", FACTS)
def test_facts_are_append_only(ledger: Ledger, table: str) -> None:
    with raw(ledger) as connection:
        insert(connection, table)
        columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
        for column in columns:
            with pytest.raises(sqlite3.IntegrityError, match=r"are never changed: "):
                connection.execute(f"update {table} set {column} = {column}")
        with pytest.raises(sqlite3.IntegrityError, match=r"are never removed: "):
            connection.execute(f"delete from {table}")
        assert connection.execute(f"select count(*) from {table}").fetchone() == (1,)


OTHER = {
    "ledger": {"agent_id": "b"}, "audit": {"tool": "u"}, "charge": {"cost": "2"}, "price_revision": {"input": 2},
    "tool_price": {"price": 2}, "agent_assignment": {"team": "y"}, "delivery": {"bill": "aws 2"},
    "provider_usage": {"requests": 2}, "exchange_rate": {"usd": 2.0}, "allocation_rule": {"method": "none"},
    "sharing_rule": {"method": "none"},
}  # fmt: skip


@pytest.mark.parametrize("table", FACTS)
def test_facts_can_not_be_replaced(ledger: Ledger, table: str) -> None:
    """INSERT OR REPLACE deletes the old row without its DELETE trigger, unless recursive_triggers is on."""
    with raw(ledger) as connection:
        insert(connection, table)
        before = connection.execute(f"select * from {table}").fetchall()
        fields = MAKE[table](**OTHER[table], id=1)
        statement = f"insert or replace into {table} ({', '.join(fields)}) values ({', '.join('?' * len(fields))})"
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement, list(fields.values()))
        assert connection.execute(f"select * from {table}").fetchall() == before


def test_every_table_is_strict(ledger: Ledger) -> None:
    for name, kind, strict in query(
        ledger, "select name, type, strict from pragma_table_list where schema = 'main' and name not like 'sqlite_%'"
    ):
        assert kind == "view" or strict == 1, name


TIMES = [
    "2026-02-30T00:00:00.000Z", "2026-13-01T00:00:00.000Z", "2026-01-01T24:00:00.000Z", "2026-01-01T00:00:00.000z",
    "2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01 00:00:00.000Z", "", "x",
]  # fmt: skip
BAD: list[tuple[str, str, Any]] = [
    *(
        (table, column, value)
        for table, column in (
            ("ledger", "ts"), ("audit", "ts"), ("charge", "period_start"), ("charge", "period_end"),
            ("price_revision", "recorded_at"), ("price_revision", "effective_from"), ("price_revision", "effective_to"),
            ("tool_price", "effective_from"), ("tool_price", "effective_to"), ("agent_assignment", "valid_from"),
        )
        for value in TIMES
    ),
    *(
        ("ledger", column, "")
        for column in ("agent_id", "request_id", "model", "provider", "customer_id", "session_id", "feature",
                       "service_tier", "region", "response_id", "anomaly", "evidence")
    ),
    *(("ledger", column, None) for column in ("ts", "agent_id", "request_id", "model", "part", "evidence")),
    *(
        ("ledger", column, -1)
        for column in ("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens",
                       "cache_write_1h_tokens", "reasoning_tokens", "web_search_requests", "part", "tier_tokens",
                       "reported_cost_usd")
    ),
    *(("ledger", column, 10**9 + 1) for column in ("prompt_tokens", "completion_tokens", "tier_tokens")),
    ("ledger", "prompt_tokens", 1.5), ("ledger", "prompt_tokens", "many"), ("ledger", "prompt_tokens", b"1"),
    ("ledger", "cache_read_tokens", 101), ("ledger", "cache_write_tokens", 101), ("ledger", "reasoning_tokens", 11),
    ("ledger", "cache_write_1h_tokens", 1), ("ledger", "web_search_requests", 100_001),
    ("ledger", "reported_cost_usd", float("inf")), ("ledger", "reported_cost_usd", 1_000_001),
    ("ledger", "evidence", "guess"), ("ledger", "usage", "[]"), ("ledger", "usage", "{"), ("ledger", "usage", "1"),
    *(("audit", column, "") for column in ("request_id", "tool_call_id", "tool", "server", "resource_id", "status",
                                          "error_type", "arguments_digest", "result_digest")),
    *(("audit", column, None) for column in ("tool", "tool_call_id", "ts")),
    *(("audit", column, -1) for column in ("units", "cost_usd", "duration_ms", "arguments_bytes", "result_bytes")),
    ("audit", "duration_ms", 10**9 + 1), ("audit", "arguments_bytes", 10**16), ("audit", "result_bytes", 10**16),
    ("audit", "units", float("inf")), ("audit", "cost_usd", 1e10), ("audit", "duration_ms", 0.5),
    ("charge", "currency", "euro"), ("charge", "tags", "[]"), ("charge", "period_end", NOON), ("charge", "cost", None),
    ("charge", "cost_picos", None), ("charge", "currency", "EUR"), ("charge", "category", "x"), ("charge", "kind", "x"),
    ("delivery", "content", "x"), ("delivery", "billing_period", "2026"), ("delivery", "name", ""),
    ("provider_usage", "requests", -1), ("provider_usage", "usage_id", ""), ("provider_usage", "period_end", NOON),
    ("exchange_rate", "currency", "USD"), ("exchange_rate", "usd", 0), ("exchange_rate", "effective_from", "x"),
    ("sharing_rule", "method", "x"), ("sharing_rule", "method", "fixed"), ("sharing_rule", "shares", "{}"),
    ("allocation_rule", "method", "x"), ("allocation_rule", "weight", "x"), ("allocation_rule", "name", ""),
    *(
        ("price_revision", column, -1)
        for column in ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "web_search",
                       "request", "above_tokens")
    ),
    *(("price_revision", column, 4 * 10**9 + 1) for column in ("input", "cache_read", "cache_write", "output")),
    ("price_revision", "comparator", "lt"), ("price_revision", "discount", "0.5"), ("price_revision", "units", "[]"),
    ("price_revision", "time_from", "08:00"), ("price_revision", "time_to", "08:00"), ("price_revision", "model", ""),
    ("tool_price", "price", -1), ("tool_price", "tool", ""), ("tool_price", "effective_to", NOON),
    ("agent_assignment", "agent_id", ""), ("agent_assignment", "team", ""), ("agent_assignment", "owner", ""),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column", "value"), BAD)
def test_tables_refuse_bad_values_by_themselves(ledger: Ledger, table: str, column: str, value: Any) -> None:
    with raw(ledger) as connection:
        with pytest.raises(sqlite3.Error):
            insert(connection, table, **{column: value})
        insert(connection, table)


@pytest.mark.parametrize("discount", ["0", "1", "-0.1", "1.5", "15%", "x"])
def test_a_discount_is_a_share(ledger: Ledger, discount: str) -> None:
    with raw(ledger) as connection:
        with pytest.raises(sqlite3.IntegrityError):
            insert(connection, "price_revision", input=None, discount=discount)
        insert(connection, "price_revision", input=None, discount="0.15")


@pytest.mark.parametrize("time", ["24:00", "29:59", "25:00"])
def test_a_time_of_day_exists(ledger: Ledger, time: str) -> None:
    with raw(ledger) as connection, pytest.raises(sqlite3.IntegrityError):
        insert(connection, "price_revision", time_from=time, time_to="08:00")


def test_an_old_sqlite_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 0))
    with pytest.raises(LedgerError, match=r"SQLite 3\.37 or newer is needed"):
        Ledger(tmp_path / "ledger.db")
