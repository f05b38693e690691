"""Shipping: whatever is killed, whenever, every committed row arrives once."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from old_rows import archive, past
from support import call, exit_code, locked, query, raw, spent, start_child, tool_call

from agent_ledger import Ledger, clock, plugins, schema, shipping
from agent_ledger.errors import LedgerError, NotALedger, SinkDown
from agent_ledger.hookspecs import Batch, Host, Sink, Target
from agent_ledger.shipped import SHIPPED, SNAPSHOTS
from agent_ledger.shipping import Progress, Shipper
from agent_ledger.sinks.jsonl import JsonLines

pytestmark = pytest.mark.usefixtures("no_sources")


class Memory:
    """A sink that remembers what it was told, and fails when it is told to: before it takes a batch, or after."""

    name, form, batch_rows = "memory", "memory:NAME", 7

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.replaced: dict[str, Batch] = {}
        self.settled = self.closed = 0
        self.host: Host | None = None
        self.fails: Callable[[str], Exception | None] = lambda _: None

    def accepts(self, destination: str) -> bool:
        return destination.startswith("memory:")

    def address(self, destination: str) -> str:
        return destination.partition("?")[0]

    def open(self, destination: str, host: Host) -> Target:  # noqa: ARG002
        self._fail("open")
        self.host = host
        return self

    def write(self, batch: Batch) -> None:
        self._fail("write")
        self.batches.append(replace(batch, rows=list(batch.rows)))
        self._fail("written")

    def replace(self, batch: Batch) -> None:
        self._fail("replace")
        self.replaced[batch.table] = batch

    def settle(self) -> None:
        self._fail("settle")
        self.settled += 1

    def close(self) -> None:
        self.closed += 1

    def _fail(self, where: str) -> None:
        if error := self.fails(where):
            raise error

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """All rows, those of batches that came again left out."""
        seen: dict[tuple[int, int], list[tuple[Any, ...]]] = {}
        for batch in self.batches:
            if batch.table == table:
                assert seen.setdefault((batch.first, batch.last), list(batch.rows)) == list(batch.rows)
        bounds = sorted(seen)
        assert all(before[1] < after[0] for before, after in pairwise(bounds)), "they overlap"
        return [row for key in bounds for row in seen[key]]

    def ids(self, table: str) -> list[int]:
        return [row[1] & (1 << 33) - 1 for row in self.rows(table)]


_: type[Sink] = Memory  # it follows the contract


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    sink = Memory()
    monkeypatch.setattr(plugins, "sinks", lambda: [sink, JsonLines()])
    monkeypatch.setattr(shipping.time, "sleep", lambda _: None)
    return sink


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    past(ledger, calls=60)
    return ledger


def ship(ledger: Ledger, destination: str = "memory:a") -> int:
    with Shipper(ledger.path, destination) as shipper:
        return shipper.ship()


def ids(ledger: Ledger, table: str) -> list[int]:
    return [row[0] for row in query(ledger, f"select id from {table} order by id")]


# -- what arrives -----------------------------------------------------------------------------------------------------


def test_everything_arrives_in_its_order(filled: Ledger, memory: Memory) -> None:
    shipped = ship(filled)
    for table in ("ledger", "audit", "price_revision"):
        assert memory.ids(table) == ids(filled, table), table
    assert {len(batch.rows) for batch in memory.batches if batch.table == "ledger"} == {
        7,
        len(ids(filled, "ledger")) % 7 or 7,
    }
    assert shipped == sum(len(batch.rows) for batch in [*memory.batches, *memory.replaced.values()])
    assert list(dict.fromkeys(batch.table for batch in memory.batches)) == [
        table.name for table in SHIPPED if any(batch.table == table.name for batch in memory.batches)
    ]
    assert memory.replaced.keys() == {table.far_name or table.name for table in SNAPSHOTS} - {
        "allocation", "allocation_rest",
    }  # fmt: skip  # bills were never allocated
    assert (memory.settled, memory.closed) == (1, 1)


def test_what_was_shipped_is_not_shipped_again_and_news_are(filled: Ledger, memory: Memory) -> None:
    with Shipper(filled.path, "memory:a") as shipper:
        shipper.ship()
        before = len(memory.batches)
        assert shipper.ship() == 0
        assert (len(memory.batches), memory.settled) == (before, 1)
        filled.record_call(**call(request_id="new"))
        assert shipper.ship() == 1
        assert memory.settled == 2
    filled.allocate()
    assert ship(filled) == 0
    assert memory.replaced["allocation"].rows == []


def test_a_sink_that_opens_again_settles_what_a_killed_shipper_left(filled: Ledger, memory: Memory) -> None:
    memory.fails = lambda where: RuntimeError("killed") if where == "settle" else None
    with pytest.raises(SinkDown):
        ship(filled)
    memory.fails = lambda _: None
    assert ship(filled) == 0
    assert memory.settled == 1


def test_each_destination_has_its_own_cursor(filled: Ledger) -> None:
    assert ship(filled, "memory:a?password=x") == ship(filled, "memory:b")
    assert ship(filled, "memory:a?password=other") == 0


def test_a_host_keeps_its_number(filled: Ledger, memory: Memory) -> None:
    ship(filled)
    first = memory.host
    ship(filled, "memory:b")
    assert memory.host == first
    assert first is not None
    assert 0 < first.number < 1 << 30
    with Shipper(filled.path, "memory:c", host_name="web-1") as shipper:
        assert shipper.host == Host(first.number, "web-1")


def test_rows_recorded_meanwhile_come_with_the_next_batch(filled: Ledger, memory: Memory) -> None:
    def record(step: Progress) -> None:
        if step.table == "ledger" and step.behind % 2:
            filled.record_call(**call())

    with Shipper(filled.path, "memory:a") as shipper:
        shipper.ship(record)
        shipper.ship()
    assert memory.ids("ledger") == ids(filled, "ledger")


# -- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_whatever_fails_whenever_everything_arrives_once(filled: Ledger, memory: Memory, seed: int) -> None:
    chance = random.Random(seed)
    memory.fails = lambda _: SinkDown("down") if chance.random() < 0.2 else None
    recorded = 0
    for _ in range(200):
        if chance.random() < 0.2 and recorded < 10:
            recorded += 1
            filled.record_call(**call(request_id=f"later {recorded}"))
        memory.batch_rows = chance.choice([20, 50, 90])  # whatever it likes meanwhile
        try:
            if ship(filled) == 0 and recorded == 10:
                break
        except SinkDown:
            pass
    memory.fails = lambda _: None
    ship(filled)
    for table in ("ledger", "audit"):
        assert memory.ids(table) == ids(filled, table)


def test_a_shipper_that_is_killed_goes_on_where_it_was(filled: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"

    def die() -> None:
        with Shipper(filled.path, str(file)) as shipper:
            shipper.ship(lambda step: os.kill(os.getpid(), signal.SIGKILL) if step.table == "ledger" else None)

    filled.close()
    assert exit_code(start_child(die)) != 0
    with Shipper(filled.path, str(file)) as shipper:
        shipper.ship()
    lines = file.read_text().count('{"table": "ledger"')
    assert lines == query(filled, "select count(*) from ledger")[0][0]


def test_two_shippers_of_one_ledger_send_the_same_batches(filled: Ledger, memory: Memory) -> None:
    ship(filled, "memory:b")  # the file has its number
    inner = Shipper(filled.path, "memory:a")
    with Shipper(filled.path, "memory:a") as outer:
        outer.ship(lambda _: inner.ship() and None)
    assert memory.ids("ledger") == ids(filled, "ledger")


def test_a_sink_that_is_down_is_tried_again_and_told_of_once_each(
    filled: Ledger, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(shipping.time, "sleep", waits.append)
    left = [3]

    def fails(where: str) -> Exception | None:
        left[0] -= where == "open"
        return SinkDown("memory:a is away") if left[0] >= 0 and where == "open" else None

    memory.fails = fails
    said: list[str] = []
    with Shipper(filled.path, "memory:a") as shipper:
        assert shipping.keep_shipping(shipper, every=None, say=said.append) > 0
    assert waits == [1, 2, 4]
    assert said[0] == "memory:a is away; nothing is lost, trying again in 1 s"
    assert said[-1] == "memory:a takes rows again"
    assert len(said) == 4


def test_without_follow_it_gives_up_and_with_it_never(
    filled: Ledger, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 12:
            memory.fails = lambda _: None
        if len(waits) == 14:
            raise KeyboardInterrupt

    monkeypatch.setattr(shipping.time, "sleep", sleep)
    memory.fails = lambda _: SinkDown("away")
    with Shipper(filled.path, "memory:a") as shipper:
        with pytest.raises(SinkDown, match="away"):
            shipping.keep_shipping(shipper, every=None, say=lambda _: None)
        assert waits == [1, 2, 4, 8]
        waits.clear()
        with pytest.raises(KeyboardInterrupt):
            shipping.keep_shipping(shipper, every=5, say=lambda _: None)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 5, 5]
    assert memory.ids("ledger") == ids(filled, "ledger")


def test_what_does_not_pass_by_itself_ends_it(filled: Ledger, memory: Memory) -> None:
    memory.fails = lambda _: LedgerError("the table is another one")
    with Shipper(filled.path, "memory:a") as shipper, pytest.raises(LedgerError, match="another one"):
        shipping.keep_shipping(shipper, every=1, say=lambda _: None)


def test_a_destination_that_refuses_leaves_nothing_in_the_ledger(filled: Ledger, memory: Memory) -> None:
    """No number, and no cursor that the archive would wait for; one that is only down is waited for."""
    memory.fails = lambda _: LedgerError("the password is wrong")
    with pytest.raises(LedgerError, match="password"):
        ship(filled)
    assert query(filled, "select * from ship_cursor") == []
    assert query(filled, "select * from ledger_meta where key = 'host'") == []
    memory.fails = lambda _: SinkDown("no answer")
    with pytest.raises(SinkDown):
        ship(filled)
    assert query(filled, "select distinct sink from ship_cursor") == [("memory:a",)]
    assert query(filled, "select count(*) from ledger_meta where key = 'host'") == [(1,)]


def test_two_that_begin_at_once_agree_on_one_number(filled: Ledger, memory: Memory) -> None:
    one, two = (Shipper(filled.path, "memory:a") for _ in range(2))
    assert one.host.number != two.host.number
    one.ship()
    with pytest.raises(SinkDown, match="somebody else has begun to ship"):
        two.ship()
    two.ship()
    assert two.host == one.host
    assert memory.ids("ledger") == ids(filled, "ledger")
    one.close()
    two.close()


def test_no_error_tells_a_secret(filled: Ledger, memory: Memory) -> None:
    memory.fails = lambda _: RuntimeError("can't connect to memory:a?password=hunter2")
    with pytest.raises(SinkDown, match=r"RuntimeError: can't connect to memory:a\?password=\*\*\*"):
        ship(filled, "memory:a?password=hunter2")
    assert shipping.without_secrets("p%40ss p@ss word", "postgresql://u:p%40ss@h/d") == "*** *** word"
    with pytest.raises(LedgerError, match=r"u:\*\*\*@h") as caught:
        shipping.sink_for("nothing://u:hunter2@h")
    assert "hunter2" not in str(caught.value)


def test_a_ledger_that_is_none_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotALedger):
        Shipper(tmp_path / "new.db", "memory:a")
    assert not (tmp_path / "new.db").exists()


def test_a_row_id_that_leaves_no_room_for_the_host_is_refused(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        connection.execute(
            "insert into ledger (id, ts, agent_id, request_id, model) values"
            " (9000000000, '2026-01-01T00:00:00.000Z', 'a', 'r', 'm')"
        )
    with pytest.raises(LedgerError, match="ledger has the row 9000000000"):
        ship(ledger)


def test_a_busy_ledger_is_tried_again(filled: Ledger, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody holds the write lock for longer than we wait: that passes."""
    monkeypatch.setattr(schema, "BUSY_TIMEOUT_S", 0.05)
    said: list[str] = []
    with Shipper(filled.path, "memory:a") as shipper, locked(filled), pytest.raises(LedgerError, match="locked"):
        shipping.keep_shipping(shipper, every=None, say=said.append)
    assert len(said) == 4
    assert ship(filled) > 0
    assert memory.ids("ledger") == ids(filled, "ledger")


# -- the archive ------------------------------------------------------------------------------------------------------


def test_rows_that_a_sink_has_not_got_are_not_archived(filled: Ledger, memory: Memory, tmp_path: Path) -> None:
    memory.fails = lambda where: SinkDown("down") if where == "written" else None
    with pytest.raises(SinkDown):
        ship(filled)
    assert archive(filled, tmp_path / "archive").rows == 0
    memory.fails = lambda _: None
    ship(filled)
    assert archive(filled, tmp_path / "archive").rows > 20
    assert ship(filled) == 0


@pytest.mark.parametrize("batch_rows", [7, 1000])
def test_a_sink_that_comes_later_gets_what_is_archived_too(
    filled: Ledger, memory: Memory, tmp_path: Path, batch_rows: int
) -> None:
    pytest.importorskip("pyarrow")
    memory.batch_rows = batch_rows
    before = {table: query(filled, f"select * from {table} order by id") for table in ("ledger", "audit")}
    assert archive(filled, tmp_path / "archive").rows > 20
    ship(filled)
    base = memory.host.number << 33 if memory.host else 0
    for table, rows in before.items():
        assert [(row[1] - base, *row[2:]) for row in memory.rows(table)] == rows


def test_rows_come_back_only_when_they_are_missing(filled: Ledger, tmp_path: Path) -> None:
    ship(filled)
    archive(filled, tmp_path / "archive")
    (tmp_path / "archive").rename(tmp_path / "elsewhere")
    filled.record_call(**call(request_id="new", ts=clock.now()))
    assert ship(filled) == 1
    with pytest.raises(LedgerError, match="is not there: bring the file"):
        ship(filled, "memory:b")


def test_an_id_below_what_was_shipped_is_refused(ledger: Ledger) -> None:
    spent(ledger)
    ledger.record_tool_call(**tool_call())
    with raw(ledger) as connection:
        for table in ("ledger", "audit"):
            columns = "ts, request_id, " + ("agent_id, model" if table == "ledger" else "tool_call_id, tool")
            connection.execute(
                f"insert into {table} (id, {columns}) values (50, '2026-01-01T00:00:00.000Z', 'x', 'y', 'z')"
            )
    ship(ledger)
    with raw(ledger) as connection:
        for table in ("ledger", "audit"):
            columns = "ts, request_id, " + ("agent_id, model" if table == "ledger" else "tool_call_id, tool")
            with pytest.raises(Exception, match="id rises"):
                connection.execute(
                    f"insert into {table} (id, {columns}) values (20, '2026-01-01T00:00:00.000Z', 'new', 'y', 'new')"
                )
