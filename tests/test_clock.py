from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_ledger import clock, schema

ZONES = sorted(available_timezones() - {"localtime"})


@pytest.fixture(scope="module")
def checks() -> Iterator[sqlite3.Connection]:
    """The check on ledger.ts, as a question to SQLite; and the check on all other times."""
    ddl = schema.scripts("tables")["ledger"]
    found = re.search(r"ts text not null[^\n]*\n    check \((.*?)\n    \),", ddl, re.DOTALL)
    assert found
    other = re.search(r"check \((valid_from is strftime\(.*?\))\),?\n", schema.scripts("tables")["agent_assignment"])
    assert other
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"create table one (ts text check ({found[1]}\n)) strict")
        connection.execute(f"create table other (valid_from text check ({other[1]})) strict")
        yield connection


def accepted(connection: sqlite3.Connection, ts: str) -> bool:
    results = set()
    for table in ("one", "other"):
        try:
            connection.execute(f"insert into {table} values (?)", [ts])
        except sqlite3.Error:
            results.add(False)
        else:
            results.add(True)
        connection.rollback()
    assert len(results) == 1, "ledger.ts and the other times are checked differently"
    return results.pop()


@given(st.datetimes(min_value=datetime(1, 1, 1)), st.integers(0, 999))  # noqa: DTZ001
def test_sqlite_accepts_every_moment_that_python_names(
    checks: sqlite3.Connection, moment: datetime, milliseconds: int
) -> None:
    ts = clock.timestamp(moment.replace(microsecond=milliseconds * 1000))
    assert accepted(checks, ts), ts
    assert clock.parse(ts) == ts


def test_every_millisecond_is_the_same_to_sqlite_and_python(checks: sqlite3.Connection) -> None:
    """SQLite keeps times as Julian days: does any of the thousand come out as its neighbour?"""
    for second in ("0001-01-01T00:00:00", "1999-12-31T23:59:59", "2026-11-23T12:34:56", "9999-12-31T23:59:59"):
        for milliseconds in range(1000):
            ts = f"{second}.{milliseconds:03}Z"
            assert accepted(checks, ts), ts
            assert clock.parse(ts) == ts


@pytest.mark.parametrize(
    "ts",
    [
        "2026-02-30T00:00:00.000Z", "2026-02-29T00:00:00.000Z", "2026-04-31T00:00:00.000Z", "2026-13-01T00:00:00.000Z",
        "2026-00-01T00:00:00.000Z", "2026-01-00T00:00:00.000Z", "2026-01-32T00:00:00.000Z", "2026-01-01T24:00:00.000Z",
        "2026-01-01T00:60:00.000Z", "2026-01-01T00:00:60.000Z", "2026-01-01T00:00:00.000z", "2026-01-01t00:00:00.000Z",
        "2026-01-01 00:00:00.000Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.00Z", "2026-01-01T00:00:00.0000Z",
        "2026-01-01T00:00:00.000", "2026-01-01", "2026-1-1T00:00:00.000Z", "now", "", "12:00", "2461041.5",
        " 2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z ", "2026-01-01T00:00:00.000+00:00",
        "-001-01-01T00:00:00.000Z", "٢٠٢٦-01-01T00:00:00.000Z",
    ],
)  # fmt: skip
def test_sqlite_refuses_what_is_not_ledger_text(checks: sqlite3.Connection, ts: str) -> None:
    assert not accepted(checks, ts)


@given(st.text("0123456789-T:.Zz +", min_size=20, max_size=26))
def test_python_and_sqlite_agree_on_what_is_canonical(checks: sqlite3.Connection, text: str) -> None:
    try:
        canonical = clock.parse(text) == text
    except ValueError:
        canonical = False
    assert accepted(checks, text) == canonical


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-31", "2026-01-31T00:00:00.000Z"),
        ("2026-01-31T10:00", "2026-01-31T10:00:00.000Z"),
        ("2026-01-31 10:00:00", "2026-01-31T10:00:00.000Z"),
        ("2026-01-31T10:00:00+01:00", "2026-01-31T09:00:00.000Z"),
        ("2026-01-31T10:00:00+0100", "2026-01-31T09:00:00.000Z"),
        ("2026-01-31T10:00:00.123456Z", "2026-01-31T10:00:00.123Z"),
        ("2026-01-31T23:59:59.999999Z", "2026-01-31T23:59:59.999Z"),
        ("  2026-01-31  ", "2026-01-31T00:00:00.000Z"),
        (date(2026, 1, 31), "2026-01-31T00:00:00.000Z"),
        (datetime(2026, 1, 31, 10), "2026-01-31T10:00:00.000Z"),  # noqa: DTZ001
        (datetime(2026, 1, 31, 10, tzinfo=timezone(timedelta(hours=-5))), "2026-01-31T15:00:00.000Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (1_769_853_600.5, "2026-01-31T10:00:00.500Z"),
    ],
)
def test_parse_takes_any_usual_form(value: object, expected: str) -> None:
    assert clock.parse(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        *("", "yesterday", "2026", "20260131", "2026-W05-1", "2026-02-30", "2026-01-31T25:00", "31.01.2026"),
        *(None, True, [], float("nan"), float("inf"), 1e20, -1e20, "9999-12-31T23:59:59-10:00", "1769853600", b"2026"),
    ],
)
def test_parse_refuses_everything_else(value: object) -> None:
    with pytest.raises(ValueError, match="not"):
        clock.parse(value)


def test_now_is_now() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    assert before <= datetime.fromisoformat(clock.now()) <= datetime.now(UTC)


def test_a_millisecond_after() -> None:
    assert clock.millisecond_after("2025-12-31T23:59:59.999Z") == "2026-01-01T00:00:00.000Z"


def days(first: date, count: int) -> list[date]:
    return [first + timedelta(days=number) for number in range(count)]


@pytest.mark.parametrize(
    ("first", "count"),
    [(date(2011, 12, 28), 6), (date(2026, 3, 6), 26), (date(2026, 10, 20), 16), (date(2025, 9, 4), 4)],
)
def test_days_of_every_zone_share_their_boundaries(first: date, count: int) -> None:
    """Samoa skipped 2011-12-30; others skip or repeat midnight. The days must add up to the period all the same."""
    for name in ZONES:
        zone = ZoneInfo(name)
        moments = [clock.local_midnight(day, zone) for day in days(first, count)]
        assert moments == sorted(moments), name
        for day, moment in zip(days(first, count), moments, strict=True):
            local = datetime.fromisoformat(moment).astimezone(zone)
            before = (datetime.fromisoformat(moment) - timedelta(milliseconds=1)).astimezone(zone)
            assert before.date() < day <= local.date(), (name, day, moment)


def test_a_midnight_that_comes_twice_is_the_first() -> None:
    # Havana turned back from 01:00 to 00:00 on 2025-11-02.
    assert clock.local_midnight(date(2025, 11, 2), ZoneInfo("America/Havana")) == "2025-11-02T04:00:00.000Z"


def test_a_midnight_that_is_skipped_is_the_moment_of_the_skip() -> None:
    # Cairo went from 00:00 to 01:00 on 2025-04-25.
    assert clock.local_midnight(date(2025, 4, 25), ZoneInfo("Africa/Cairo")) == "2025-04-24T22:00:00.000Z"


def test_a_day_that_does_not_exist_is_empty() -> None:
    apia = ZoneInfo("Pacific/Apia")
    assert clock.local_midnight(date(2011, 12, 30), apia) == clock.local_midnight(date(2011, 12, 31), apia)


def test_sortable_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [clock.sortable_id() for _ in range(2000)]
    assert len(set(made)) == 2000
    assert all(re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", one) for one in made)
    ordered = []
    for moment in (0.001, 1.0, 1_769_853_600.0, 1_769_853_600.001, 4e9):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        ordered.append(clock.sortable_id())
    assert ordered == sorted(ordered)
