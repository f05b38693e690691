"""Old rows leave the ledger for Parquet files; what they sum to, and who they were, stays."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from old_rows import CUT, SUMS, archive, figures, past, writing
from support import add_prices, call, exit_code, price, query, raw, start_child, tool_call

from agent_ledger import Ledger, archive_choice, archive_files, archive_reading, archiving, closing
from agent_ledger.errors import InvalidRecord, LedgerError
from agent_ledger.schema import scripts

pytestmark = pytest.mark.usefixtures("no_sources")

EVERYWHERE = "select id, ts, request_id, prompt_tokens, usage, customer_id, session_id, reported_cost_usd from ledger"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_choice, "BATCH", 20)


def everything(ledger: Ledger | Path) -> list[tuple[object, ...]]:
    """All rows, wherever they are; each of them once."""
    path = ledger.path if isinstance(ledger, Ledger) else ledger
    with writing(path) as connection:
        archive_reading.recall(connection)
        found = sorted(connection.execute(EVERYWHERE).fetchall())
        for table in ("audit", "superseded_call", "superseded_tool_call"):
            found += sorted(connection.execute(f"select '{table}', * from {table}").fetchall())
        return found


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """View by view, so that a failure names it."""
    for view, rows in expected.items():
        assert found[view] == rows, view


# -- sums -------------------------------------------------------------------------------------------------------------


def test_sums_stay_as_they_are(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger)
    with raw(ledger) as connection:
        closing.close(connection, "2026-01", reason="month end")
    before, rows, calls = figures(ledger), everything(ledger), query(ledger, "select count(*) from ledger")[0][0]
    both = "select (select count(*) from ledger {0}) + (select count(*) from audit {0})"
    there = query(ledger, both.format(""))[0][0]
    done = archive(ledger, tmp_path / "archive")
    assert done.rows > 150
    assert query(ledger, both.format(""))[0][0] == there - done.rows
    assert_same(figures(ledger), before)
    assert everything(ledger) == rows
    assert [path.parent for path in done.files] == [tmp_path / "archive"] * 4
    assert done.open_months == ("2026-02",)
    assert done.left == query(ledger, both.format(f"where ts < '{CUT}'"))[0][0]
    ledger.record_call(**call(request_id="next", ts="2026-04-02T00:00:00.000Z"))
    assert query(ledger, "select max(id) from ledger")[0][0] == calls + 1


def test_every_view_is_as_before_where_the_archive_is_read_back(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger)
    views = sorted(scripts("views").keys() - {"archived", "moment"})
    before = {view: sorted(query(ledger, f"select * from {view}"), key=repr) for view in views}
    archive(ledger, tmp_path / "archive")
    with writing(ledger) as connection:
        assert archive_reading.recall(connection)
        for view in views:
            assert sorted(connection.execute(f"select * from {view}").fetchall(), key=repr) == before[view], view


def test_what_has_to_stay(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger)
    archive(ledger, tmp_path / "archive")
    left = {row[0] for row in query(ledger, "select id from ledger where ts < ?", CUT)}
    asked = "select id from ledger where request_id in (select request_id from audit)"
    for reason in ("select id from usage_loose", asked, "select id from ledger where request_id = 'midnight'"):
        found = {row[0] for row in query(ledger, f"select id from ledger where ts < ? and id in ({reason})", CUT)}
        assert found, reason
        left -= found
    assert left == {row for row in left if query(ledger, "select 1 from superseded_call where ? in (id, by_id)", row)}


def test_calls_that_are_not_compacted_stay(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger)
    late = call(request_id="late", ts="2026-01-05T00:00:00.000Z")
    ledger.record_call(**late)
    ledger.record_call(**call(request_id="last", ts="2026-04-05T00:00:00.000Z"))
    before = figures(ledger)
    archive(ledger, tmp_path)
    assert query(ledger, "select request_id from ledger where request_id = 'late'")
    assert_same(figures(ledger), before)
    ledger.compact()
    assert figures(ledger, ("daily_cost",))["daily_cost"] == before["daily_cost"]
    before = figures(ledger)
    archive(ledger, tmp_path)
    assert not query(ledger, "select request_id from ledger where request_id = 'late'")
    assert_same(figures(ledger), before)


def test_one_day_after_the_other_and_again(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "MONTH", 50)
    past(ledger)
    before = figures(ledger)
    assert len(archive(ledger, tmp_path, "2026-01-15").files) == 1 + 14  # and one of tool calls
    assert archive(ledger, tmp_path, "2026-01-15").rows == 0
    monkeypatch.setattr(archiving, "MONTH", 10**6)
    assert len(archive(ledger, tmp_path, "2026-02-10").files) == 4
    assert_same(figures(ledger), before)


def test_the_newest_row_stays(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record_calls([call(request_id=str(number)) for number in range(5)])
    ledger.compact()
    assert archive(ledger, tmp_path).rows == 4
    assert query(ledger, "select request_id from ledger") == [("4",)]


@pytest.mark.parametrize("day", ["2999-01-01", "2026-01-01T10:00:00Z", "soon", 5, None])
def test_no_day_of_the_past(ledger: Ledger, tmp_path: Path, day: object) -> None:
    with writing(ledger) as connection, pytest.raises(InvalidRecord, match="before is"):
        archiving.archive(connection, tmp_path, day)


def test_wrong_sums_are_found_before_anything_is_archived(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger)
    with raw(ledger) as connection:
        connection.execute("update usage_rollup set calls = calls + 1 where grain = 'day' and bucket like '2026-02-0%'")
    with pytest.raises(LedgerError, match=r"the sums of 2026-02 are of .*: nothing of ledger is archived"):
        archive(ledger, tmp_path)
    assert not list(tmp_path.glob("ledger-*.parquet"))


def test_without_pyarrow(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    past(ledger, 20)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(LedgerError, match=r"needs pyarrow: pip install 'agent-cost-ledger\[parquet\]'"):
        archive(ledger, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_a_folder_that_can_not_be(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger, 20)
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="can't be a folder for the archive"):
        archive(ledger, tmp_path / "file")


# -- interruptions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["write", "publish", "prove", "_take"])
@pytest.mark.parametrize("time_", [1, 2, 4])
def test_a_failure_at_any_point(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, time_: int
) -> None:
    past(ledger, 150)
    before, rows = figures(ledger), everything(ledger)
    place = archiving if point == "_take" else archive_files
    work, count = getattr(place, point), 0

    def failing(*given: object, **named: object) -> object:
        nonlocal count
        count += 1
        if count == time_:
            raise OSError(28, "No space left on device")
        return work(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(place, point, failing)
        with pytest.raises((LedgerError, OSError), match="No space left"):
            archive(ledger, tmp_path / "archive")
    assert (figures(ledger), everything(ledger)) == (before, rows)
    assert not list((tmp_path / "archive").glob(".*")) or point == "publish"
    archive(ledger, tmp_path / "archive")
    assert (figures(ledger), everything(ledger)) == (before, rows)
    assert query(ledger, "select count(*) from ledger where ts < ?", CUT)[0][0] < 75


def test_killed_at_any_moment(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_choice, "BATCH", 3)
    monkeypatch.setattr(archiving, "MONTH", 60)
    past(ledger, 400)
    before, rows, path, chance = figures(ledger), everything(ledger), ledger.path, random.Random(7)
    ledger.close()

    def work() -> None:
        with writing(path) as connection:
            archiving.archive(connection, tmp_path / "archive", CUT)

    killed = 0
    for _ in range(12):
        child = start_child(work)
        time.sleep(chance.uniform(0.01, 0.25))
        os.kill(child, signal.SIGKILL)
        killed += exit_code(child) == -signal.SIGKILL
        assert figures(path, ("daily_cost",))["daily_cost"] == before["daily_cost"]
        assert everything(path) == rows
    assert killed > 3
    work()
    assert (figures(path), everything(path)) == (before, rows)
    with raw(path) as connection:
        assert not archiving.problems(connection)
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert not connection.execute("pragma foreign_key_check").fetchall()


def test_others_write_meanwhile(ledger: Ledger, tmp_path: Path) -> None:
    """Another account of a call comes while the file is written: the call stays."""
    rows = past(ledger)
    fuller = {**rows[3], "evidence": "stream", "cache_read_tokens": 0, "completion_tokens": 8_999}
    seen: list[int] = []

    def advance(count: int) -> None:
        if not seen:
            ledger.record_tool_call(
                **tool_call(request_id=rows[151]["request_id"], tool_call_id="new", ts="2026-04-01")
            )
        seen.append(count)

    work = archive_files.prove

    def prove(path: Path) -> archive_files.Proof:
        if not seen:
            assert ledger.record_call(**fuller)
        return work(path)

    with pytest.MonkeyPatch.context() as patch, writing(ledger) as connection:
        patch.setattr(archive_files, "prove", prove)
        archiving.archive(connection, tmp_path, CUT, advance)
    kept = query(ledger, "select count(*) from ledger where request_id = ?", rows[3]["request_id"])
    assert kept == [(2,)]
    sums = query(ledger, "select sum(calls) from daily_cost")
    assert sums == [(counting(ledger),)]
    archive(ledger, tmp_path)
    assert query(ledger, "select sum(calls) from daily_cost") == sums


def counting(ledger: Ledger) -> int:
    """How many calls count, wherever they are."""
    rows = everything(ledger)
    return len([row for row in rows if type(row[0]) is int]) - len([row for row in rows if row[0] == "superseded_call"])


def test_nothing_else_leaves_the_tables(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger)
    archive(ledger, tmp_path)
    for table in ("ledger", "superseded_call", "archive"):
        with raw(ledger) as connection, pytest.raises(sqlite3.IntegrityError):
            connection.execute(f"delete from {table}")
    with raw(ledger) as connection, pytest.raises(sqlite3.IntegrityError, match="never changed"):
        connection.execute("update archive set digest = digest")


# -- the files --------------------------------------------------------------------------------------------------------


def test_a_check_looks_at_the_files(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger)
    *_, first, second = archive(ledger, tmp_path / "archive").files
    with raw(ledger) as connection:
        assert archiving.problems(connection) == []
        damaged = bytearray(first.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        first.write_bytes(damaged)
        second.unlink()
        one, other = archiving.problems(connection)
    assert one == {
        "check": "archive",
        "subject": str(first),
        "problem": "its digest is another than when it was archived: bring it back from a backup",
    }
    assert other["subject"] == str(second)
    assert other["problem"].startswith("it is not there, with ")


def test_the_archive_moves_with_the_ledger(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger)
    before = everything(ledger)
    archive(ledger, tmp_path / "archive")
    ledger.close()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("archive", "ledger.db"):
        (tmp_path / name).rename(elsewhere / name)
    assert everything(elsewhere / "ledger.db") == before


def test_the_same_rows_make_the_same_file(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger)
    ledger.close()
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "ledger.db"
    other.write_bytes(ledger.path.read_bytes())
    files = [archive(Ledger(path), path.parent / "archive").files for path in (ledger.path, other)]
    one, other_ = ({path.name: path.read_bytes() for path in found} for found in files)
    assert one == other_


def test_free_pages_are_given_back(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger, 3000)
    done = archive(ledger, tmp_path)
    assert done.free_bytes > 100_000
    size = ledger.path.stat().st_size
    with writing(ledger) as connection:
        archiving.vacuum(connection)
        assert archiving.free_bytes(connection) == 0
    assert ledger.path.stat().st_size < size


# -- what changes later -----------------------------------------------------------------------------------------------


def untouched(ledger: Ledger, tmp_path: Path) -> Ledger:
    """A copy of a ledger before it is archived."""
    ledger.close()
    (tmp_path / "copy").mkdir()
    path = tmp_path / "copy" / "ledger.db"
    path.write_bytes(ledger.path.read_bytes())
    return Ledger(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda book: book.assign("agent-1", team="three", valid_from="2026-02-07"),
        lambda book: book.assign("agent-3", team="three", valid_from="2026-02-07T11:22:33.444Z"),
        lambda book: book.assign("agent-2", team="four", valid_from="2026-03-07T11:22:33.444Z"),
        lambda book: book.set_prices([price(input=9, output=8, effective_from="2026-01-17T05:06:07.008Z")]),
        lambda book: book.set_prices(
            [price("nobody's", input=9, output=8, above_tokens=1_000), price("nobody's", input=1, output=1)]
        ),
        lambda book: book.set_prices(
            [price(input=9, output=8, time_from="08:00", time_to="10:30"), price(input=3, output=3)]
        ),
        lambda book: book.set_tool_price("read", "0.01", effective_from="2026-01-20T10:00:00Z"),
        lambda book: book.set_tool_price("write", "0.01", unit="s", effective_to="2026-02-20"),
        lambda book: add_prices(book, price(input=1, output=1, effective_to="2026-02-03T13:00:00.000Z", priority=200)),
    ],
    ids=["day", "moment", "after the archive", "price", "bands", "windows", "tool price", "price of units", "moved"],
)
def test_changes_of_the_past_reach_into_the_archive(ledger: Ledger, tmp_path: Path, change: object) -> None:
    past(ledger)
    other = untouched(ledger, tmp_path)
    book = Ledger(ledger.path)
    archive(book, tmp_path / "archive")
    for one in (book, other):
        change(one)  # type: ignore[operator]
    views = tuple(view for view in SUMS if view not in ("price_history", "focus"))  # one has the time of day
    assert_same(figures(book, views), figures(other, views))
    for one in (book, other):
        one.close()


def test_a_change_that_needs_a_file_that_is_gone_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger)
    *_, first, _ = archive(ledger, tmp_path / "archive").files
    first.unlink()
    before = figures(ledger)
    with pytest.raises(LedgerError, match=f"{first.name} is not there"):
        ledger.assign("agent-3", team="three", valid_from="2026-01-07T11:22:33.444Z")
    with pytest.raises(LedgerError, match=f"{first.name} is not there"):
        ledger.set_prices([price("m", input=1, output=1, above_tokens=10), price("m", input=1, output=1)])
    assert_same(figures(ledger), before)


def test_an_assignment_in_plain_sql_is_refused_then(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger)
    archive(ledger, tmp_path)
    with raw(ledger) as connection, pytest.raises(sqlite3.IntegrityError, match="assign with agent-ledger assign"):
        connection.execute(
            "insert into agent_assignment (agent_id, valid_from, team) values ('a', '2026-01-01T00:00:00.000Z', 't')"
        )


def test_prices_of_another_moment_read_the_archive(ledger: Ledger, tmp_path: Path) -> None:
    past(ledger)
    other = untouched(ledger, tmp_path)
    book = Ledger(ledger.path)
    archive(book, tmp_path / "archive")
    known = "2020-01-01"
    assert book.rows("cost_by_agent", as_of=known) == other.rows("cost_by_agent", as_of=known)
    for one in (book, other):
        moment = query(one, "select max(recorded_at) from price_revision")[0][0]
        one.set_prices([price("m", input=1, output=1, above_tokens=150_000), price("m", input=1, output=2)])
        assert one.rows("cost_by_model", as_of=moment) != one.rows("cost_by_model")
        one.close()
    moment = query(book, "select min(recorded_at) from price_revision")[0][0]
    assert sorted(map(repr, Ledger(book.path).rows("daily_cost", as_of=moment))) == sorted(
        map(repr, Ledger(other.path).rows("daily_cost", as_of=moment))
    )
