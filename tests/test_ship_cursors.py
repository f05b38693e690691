"""How far sinks have got, and what is said of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import call, query, raw, spent

from agent_ledger import Ledger, clock, ship_cursors
from agent_ledger.hookspecs import Host
from agent_ledger.shipping import Shipper

pytestmark = pytest.mark.usefixtures("no_sources")


@pytest.fixture
def shipped(ledger: Ledger, tmp_path: Path) -> Iterator[tuple[Ledger, str]]:
    """A ledger that was shipped, and where to."""
    spent(ledger)
    with Shipper(ledger.path, str(tmp_path / "out.jsonl")) as shipper:
        shipper.ship()
        yield ledger, shipper.address


def late(ledger: Ledger) -> dict[str, int]:
    with raw(ledger) as connection:
        return {row["source"]: row["behind"] for row in ship_cursors.lag(connection) if row["behind"]}


def test_lag_says_what_is_missing(shipped: tuple[Ledger, str]) -> None:
    ledger, sink = shipped
    assert late(ledger) == {}
    ledger.record_calls([call(request_id="new"), call(request_id="newer", model="another")])
    ledger.assign("z", team="one")
    assert late(ledger) == {"ledger": 2, "agent_assignment": 1, "rate_key": 1}
    with raw(ledger) as connection:
        assert ship_cursors.behind(connection, sink) == 3
        assert {row["sink"] for row in ship_cursors.lag(connection)} == {sink}


def test_a_check_speaks_of_sinks_that_are_late_and_not_of_those_that_are_at_it(shipped: tuple[Ledger, str]) -> None:
    ledger, sink = shipped
    ledger.record_call(**call(request_id="new"))
    with raw(ledger) as connection:
        assert ship_cursors.problems(connection) == []
        connection.execute("update ship_cursor set shipped_at = '2026-01-01T00:00:00.000Z'")
        [problem] = ship_cursors.problems(connection)
    assert (problem["check"], problem["subject"]) == ("shipping", sink)
    assert problem["problem"].startswith("it is 1 rows behind, and last confirmed something: 2026-01-01T00:00:00.000Z")


def test_an_idle_sink_is_not_late(shipped: tuple[Ledger, str]) -> None:
    """It is noted that there was nothing to ship, but not each time."""
    ledger, sink = shipped
    with raw(ledger) as connection:
        connection.execute("update ship_cursor set shipped_at = '2026-01-01T00:00:00.000Z'")
    with Shipper(ledger.path, sink) as shipper:
        shipper.ship()
    found = query(ledger, "select distinct shipped_at from ship_cursor")
    assert len(found) == 1
    assert clock.now() >= found[0][0] > "2026-01-01T00:00:00.000Z"
    with Shipper(ledger.path, sink) as shipper:
        shipper.ship()
    assert query(ledger, "select distinct shipped_at from ship_cursor") == found


def test_a_forgotten_sink_holds_nothing_back(shipped: tuple[Ledger, str]) -> None:
    ledger, sink = shipped
    with sqlite3.connect(ledger.path, isolation_level=None) as connection:
        assert ship_cursors.forget(connection, sink)
        assert not ship_cursors.forget(connection, sink)
        assert ship_cursors.lag(connection) == []
    connection.close()


def test_beginning_anew_takes_another_number(shipped: tuple[Ledger, str], tmp_path: Path) -> None:
    ledger, sink = shipped
    before = query(ledger, "select value from ledger_meta where key = 'host'")
    with Shipper(ledger.path, str(tmp_path / "other.jsonl"), anew=True) as shipper:
        assert query(ledger, "select value from ledger_meta where key = 'host'") == before
        shipper.ship()
        assert query(ledger, "select value from ledger_meta where key = 'host'") == [(str(shipper.host.number),)]
    assert query(ledger, "select value from ledger_meta where key = 'host'") != before
    assert query(ledger, "select distinct sink from ship_cursor") == [(str(tmp_path / "other.jsonl"),)]
    assert sink != str(tmp_path / "other.jsonl")


def test_who_comes_second_takes_the_number_that_is_there(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        first, second = (ship_cursors.host(connection, name) for name in ("a", "b"))
        assert ship_cursors.adopt(connection, first)
        assert not ship_cursors.adopt(connection, second)
        assert ship_cursors.host(connection, "b") == Host(first.number, "b")


def test_a_cursor_never_goes_back(shipped: tuple[Ledger, str]) -> None:
    ledger, _ = shipped
    with raw(ledger) as connection, pytest.raises(sqlite3.IntegrityError, match="stays shipped"):
        connection.execute("update ship_cursor set shipped = 0 where source = 'ledger'")
