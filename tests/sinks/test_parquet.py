"""A folder of Parquet files, read by another engine than wrote it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from old_rows import past
from support import call, exit_code, price, query, raw, start_child

from agent_ledger import Ledger, shipped, shipping
from agent_ledger.errors import LedgerError, SinkDown
from agent_ledger.hookspecs import Batch, Host
from agent_ledger.shipping import Shipper
from agent_ledger.sinks.parquet import Parquet

pytestmark = pytest.mark.usefixtures("no_sources")
pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")


def ship(ledger: Ledger | Path, folder: Path, batch_rows: int = 100_000) -> int:
    path = ledger.path if isinstance(ledger, Ledger) else ledger
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parquet, "batch_rows", batch_rows)
        with Shipper(path, f"{folder}/") as shipper:
            return shipper.ship()


def read(folder: Path, table: str, columns: str = "*", rest: str = "") -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        files = f"{folder}/{table}/**/*.parquet"
        return list(connection.execute(f"select {columns} from read_parquet('{files}') {rest}").fetchall())


def own(ledger: Ledger | Path, table: str) -> list[tuple[Any, ...]]:
    one = next(one for one in shipped.TABLES if one.name == table)
    with raw(ledger) as connection:
        number = int(connection.execute("select value from ledger_meta where key = 'host'").fetchone()[0])
        return connection.execute(f"{shipped.selection(one)} order by {one.key[0]}", {"number": number}).fetchall()


def assert_once(folder: Path, ledger: Ledger | Path) -> None:
    for table in ("ledger", "audit", "agent_assignment", "price_revision"):
        columns = ", ".join(shipped.far_columns(table))
        assert read(folder, table, columns, "order by id") == own(ledger, table), table


def test_every_row_is_there_by_its_day(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger, calls=60)
    folder = tmp_path / "out"
    ship(ledger, folder, batch_rows=20)
    assert_once(folder, ledger)
    for path, ts in read(folder, "ledger", "filename, ts"):
        assert f"/day={ts[:10]}/" in path
    days = read(folder, "ledger", "day::text, count(*)", "group by 1 order by 1")
    assert days == query(ledger, "select substr(ts, 1, 10), count(*) from ledger group by 1 order by 1")
    assert not list(folder.rglob(".*"))
    assert ship(ledger, folder) == 0


def test_every_table_can_be_read_though_it_is_empty(ledger: Ledger, tmp_path: Path) -> None:
    ship(ledger, tmp_path / "out")
    for table in shipped.TABLES:
        name = getattr(table, "far_name", None) or table.name
        assert len(read(tmp_path / "out", name)) == (38 if name == "unit" else 0)
    for name in ("rate", "rate_key"):
        assert read(tmp_path / "out", name) == []


def test_a_price_that_one_host_knows_is_a_rate_for_all(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for name, model in (("one", "m"), ("two", "n")):
        with Ledger(tmp_path / f"{name}.db") as ledger:
            ledger.record_call(**call(model=model))
            if name == "two":
                ledger.set_prices([price("?", input=3, output=4)])
        ship(tmp_path / f"{name}.db", folder)
    assert read(folder, "rate", "model, input, output", "order by 1") == [("m", 3, 4), ("n", 3, 4)]
    assert read(folder, "rate_key", "model, reason", "order by 1") == [("m", None), ("n", None)]


@pytest.mark.parametrize("seed", range(3))
def test_whoever_is_killed_whenever_every_row_is_there_once(ledger: Ledger, tmp_path: Path, seed: int) -> None:
    past(ledger, calls=40)
    folder, chance = tmp_path / "out", random.Random(seed)
    ledger.close()

    def die(after: int) -> None:
        replace, left = Path.replace, [after]

        def publish(self: Path, target: Path) -> Path:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return replace(self, target)

        Path.replace = publish  # type: ignore[method-assign]
        ship(ledger.path, folder, batch_rows=chance.choice([10, 25]))

    deaths = 0
    for _ in range(6):
        deaths += exit_code(start_child(lambda: die(chance.randrange(25, 60)))) != 0
    ship(ledger.path, folder, batch_rows=30)
    assert deaths > 0
    assert_once(folder, ledger.path)


def test_a_copy_of_a_ledger_is_noticed(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger, calls=20)
    folder = tmp_path / "out"
    ship(ledger, folder)
    with raw(ledger) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    for number, rows in enumerate((1, 2)):  # as many rows as the first has, and another number of them
        copy = Path(shutil.copy(ledger.path, tmp_path / f"copy {number}.db"))
        with Ledger(copy) as other:
            other.record_calls(call(request_id=f"of the copy {row}") for row in range(rows))
    ledger.record_call(**call(request_id="of the first"))
    ship(ledger, folder)
    for number in range(2):
        with pytest.raises(LedgerError, match=r"rows of ledger of this ledger with other content: .* --as-new"):
            ship(tmp_path / f"copy {number}.db", folder)
    assert_once(folder, ledger)
    with Shipper(tmp_path / "copy 0.db", f"{folder}/", anew=True) as shipper:
        assert shipper.ship() > 0


def test_what_is_sent_as_a_whole_takes_the_place_of_what_was(ledger: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    ship(ledger, folder)
    query(ledger, "insert into unit values ('furlong', 'm', 201.168)")
    ship(ledger, folder)
    assert len(read(folder, "unit")) == 39


def test_a_folder_with_other_files_and_one_that_can_not_be_made_are_said(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    with pytest.raises(LedgerError, match="has other files in it: give an empty folder"):
        ship(ledger, tmp_path / "other")
    with pytest.raises(LedgerError, match="can't be used: Not a directory"):
        ship(ledger, tmp_path / "other" / "file" / "out")
    assert isinstance(shipping.sink_for(str(tmp_path / "other")), Parquet)
    with pytest.raises(LedgerError, match="FOLDER/"):
        shipping.sink_for(str(tmp_path / "new"))


def test_a_disk_that_is_full_may_have_room_later(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    target = Parquet().open(f"{tmp_path / 'out'}/", Host(5, "h"))
    values = {name: 1 if kind == "INTEGER" else "x" for name, kind in shipped.far_columns("agent_assignment").items()}
    batch = Batch("agent_assignment", tuple(values), [tuple(values.values())], 1, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, limits[1]))
    try:
        with pytest.raises(SinkDown, match=r"can't be written now: .*File too large"):
            target.write(batch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    target.write(batch)
    assert len(read(tmp_path / "out", "agent_assignment")) == 1


def test_a_missing_extra_is_said(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(LedgerError, match=r"needs pyarrow: pip install 'agent-cost-ledger\[parquet\]'"):
        ship(ledger, tmp_path / "out")
