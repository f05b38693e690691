"""The smallest sink: a file of JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import call, spent

from agent_ledger import Ledger, shipping
from agent_ledger.errors import LedgerError, SinkDown
from agent_ledger.hookspecs import Batch, Host
from agent_ledger.shipping import Shipper
from agent_ledger.sinks.jsonl import JsonLines

pytestmark = pytest.mark.usefixtures("no_sources")

HOST = Host(5, "web-1")


def batch(first: int, last: int, table: str = "ledger") -> Batch:
    return Batch(table, ("host", "id"), [(5, number) for number in range(first, last + 1)], first, last)


def ids(file: Path, table: str = "ledger") -> list[int]:
    return [row["id"] for row in map(json.loads, file.read_text().splitlines()) if row.get("table") == table]


def test_it_takes_files_of_that_name() -> None:
    assert isinstance(shipping.sink_for("out.jsonl"), JsonLines)
    with pytest.raises(LedgerError, match=r"out\.json is no destination .* FILE\.jsonl"):
        shipping.sink_for("out.json")


def test_each_row_is_an_object(ledger: Ledger, tmp_path: Path) -> None:
    spent(ledger)
    file = tmp_path / "out.jsonl"
    with Shipper(ledger.path, str(file)) as shipper:
        shipper.ship()
        ledger.record_call(**call(request_id="new", customer_id="Ünïcödé \n🦊"))
        shipper.ship()
    rows = [row for row in map(json.loads, file.read_text().splitlines()) if row.get("table") == "ledger"]
    own = [{"table": "ledger", "host": rows[0]["host"], **row, "id": rows[0]["host"] << 33 | row["id"]}
           for row in ledger.rows("ledger")]  # fmt: skip
    assert rows == own


def test_a_batch_that_comes_again_is_not_written_again(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    for _ in range(2):
        target = JsonLines().open(str(file), HOST)
        target.write(batch(1, 3))
        target.write(batch(1, 3))
        target.close()
    target = JsonLines().open(str(file), HOST)
    target.write(batch(4, 5))
    target.close()
    assert ids(file) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("cut", [1, 15, 30, 60, 75])
def test_what_a_killed_shipper_left_unfinished_is_cut_off(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "out.jsonl"
    target = JsonLines().open(str(file), HOST)
    target.write(batch(1, 2))
    whole = file.stat().st_size
    target.write(batch(3, 4))
    target.close()
    with file.open("r+b") as handle:
        handle.truncate(whole + cut)
    target = JsonLines().open(str(file), HOST)
    assert file.stat().st_size == whole
    target.write(batch(3, 4))
    target.close()
    assert ids(file) == [1, 2, 3, 4]


def test_another_ledger_has_a_place_of_its_own_in_it(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    for host in (HOST, Host(6, "web-2")):
        target = JsonLines().open(str(file), host)
        target.write(batch(1, 2))
        target.close()
    assert ids(file) == [1, 2, 1, 2]


def test_a_table_that_goes_as_a_whole_is_told_anew(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    target = JsonLines().open(str(file), HOST)
    target.replace(batch(0, 1, "unit"))
    target.settle()
    target.replace(batch(0, 1, "unit"))
    target.close()
    assert ids(file, "unit") == [0, 1, 0, 1]


@pytest.mark.parametrize("content", ["{}\n", '{"agent_id": "a"}\n', "important", "\n"])
def test_a_file_of_somebody_else_stays_as_it_is(tmp_path: Path, content: str) -> None:
    file = tmp_path / "out.jsonl"
    file.write_text(content)
    with pytest.raises(LedgerError, match="is something else: give another file"):
        JsonLines().open(str(file), HOST)
    assert file.read_text() == content


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="can't be written: No such file"):
        JsonLines().open(str(tmp_path / "no" / "out.jsonl"), HOST)


def test_a_disk_that_is_full_may_have_room_later(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    file = tmp_path / "out.jsonl"
    target = JsonLines().open(str(file), HOST)
    target.write(batch(1, 2))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 20, limits[1]))
    try:
        with pytest.raises(SinkDown, match="can't be written: File too large"):
            target.write(batch(3, 4))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    target.close()
    target = JsonLines().open(str(file), HOST)
    target.write(batch(3, 4))
    target.close()
    assert ids(file) == [1, 2, 3, 4]
