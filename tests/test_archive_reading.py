"""Archived rows beside those of the file, or in their stead."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from old_rows import CUT, archive, past, writing
from support import query

from agent_ledger import Ledger, archive_reading, reporting
from agent_ledger.ledger import reading

pytestmark = pytest.mark.usefixtures("no_sources")


@pytest.fixture
def archived(ledger: Ledger, tmp_path: Path) -> Ledger:
    past(ledger)
    (tmp_path / "before.db").write_bytes(b"")
    ledger._writer.live().execute("vacuum into ?", [str(tmp_path / "before.db")])
    archive(ledger, tmp_path / "archive")
    return ledger


def before(ledger: Ledger) -> Path:
    """The file as it was."""
    return ledger.path.with_name("before.db")


def test_only_the_time_that_is_asked_for(archived: Ledger) -> None:
    with writing(archived) as connection:
        assert not archive_reading.recall(connection, CUT)
        assert connection.execute("select count(*) from temp.sqlite_schema").fetchone() == (0,)
        assert archive_reading.recall(connection, "2026-01-10", "2026-01-12")
        assert archive_reading.recall(connection, "2026-02-03", "2026-02-04")
        days = "select substr(ts, 1, 10), count(*) from ledger where ts < '2026-02-20' group by 1"
        found = dict(connection.execute(days).fetchall())
    for day, count in query(before(archived), days):
        if day in ("2026-01-10", "2026-01-11", "2026-02-03"):
            assert found[day] == count


def test_what_was_recalled_for_summing_is_gone_afterwards(archived: Ledger) -> None:
    with writing(archived) as connection:
        (everything,) = connection.execute("select count(*) from usage_place").fetchone()
        for recalled in (archive_reading.recalled, archive_reading.recalled_tool_calls):
            seen = 0
            for _ in recalled(connection):
                seen += connection.execute("select count(*) from ledger").fetchone()[0]
            assert seen
        assert connection.execute("select count(*) from usage_place").fetchone() == (everything,)
        assert not connection.execute("select 1 from temp.sqlite_schema").fetchall()


def test_reports_of_any_period_and_zone(archived: Ledger) -> None:
    asked: list[dict[str, Any]] = [
        {"by": "day", "zone": ZoneInfo("Asia/Kathmandu")},
        {"by": "month", "zone": ZoneInfo("America/New_York"), "all_in": True},
        {"by": "agent", "since": "2026-01-10T07:45:12.000Z", "until": "2026-02-11T23:01:00.000Z"},
        {"by": "tool", "since": "2026-01-10T07:45:12.000Z", "until": "2026-02-11T23:01:00.000Z"},
        {"by": "customer", "since": "2026-01-10T07:45:12.000Z", "all_in": True},
    ]
    for one in asked:
        with reading(archived.path) as connection, reading(before(archived)) as other:
            assert reporting.report(connection, **one) == reporting.report(other, **one), one


def test_one_request(archived: Ledger) -> None:
    views = ("call_cost", "tool_cost", "request_conflicts")
    requests = [row[0] for row in query(before(archived), "select distinct request_id from ledger")]
    there = 0
    for request in requests[::7]:
        with writing(archived) as connection, writing(before(archived)) as other:
            there += archive_reading.recall_request(connection, request)
            for view in views:
                sql = f"select * from {view} where request_id = ?"
                assert connection.execute(sql, [request]).fetchall() == other.execute(sql, [request]).fetchall()
    assert there > 10
    with writing(archived) as connection:
        assert not archive_reading.recall_request(connection, "newest")
