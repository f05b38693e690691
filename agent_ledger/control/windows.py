"""When the days, weeks and months of a time zone begin, written down for years ahead, because SQLite knows no zones."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agent_ledger import clock
from agent_ledger.errors import InvalidRecord

PERIODS: Final = ("day", "week", "month")
_BEFORE = timedelta(days=64)  # a budget may be asked about for the months before it was set
_AHEAD = timedelta(days=5 * 366)
_ENOUGH = timedelta(days=366)
_A_PERIOD = timedelta(days=32)


def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name. Raises InvalidRecord."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, such as "America"
        raise InvalidRecord("zone", name, "give an IANA time zone such as Europe/Berlin") from None


def lay(connection: sqlite3.Connection, zone: str, period: str, *, around: str) -> None:
    """Write down the windows of a period around a moment, as far as they are not there yet.

    Within a transaction. Raises InvalidRecord for a zone that does not exist.
    """
    calendar, moment = zone_of(zone), datetime.fromisoformat(around)
    first, last = (moment - _BEFORE).date(), (moment + _AHEAD).date()
    known = connection.execute(
        "select min(starts), max(ends) from budget_window where zone = ? and period = ?", [zone, period]
    ).fetchone()
    earliest, latest = clock.parse(first + _A_PERIOD), clock.parse((moment + _ENOUGH).date())
    if known[0] and known[0] <= earliest and known[1] >= latest:
        return
    # In order: a day that a zone skipped (Samoa, 30 December 2011) begins when the next one does, and is replaced.
    connection.executemany(
        "insert or replace into budget_window (zone, period, starts, ends, name) values (?, ?, ?, ?, ?)",
        [
            (zone, period, clock.local_midnight(begin, calendar), clock.local_midnight(end, calendar), name)
            for begin, end, name in _periods(period, first, last)
        ],
    )


def keep_ahead(connection: sqlite3.Connection, now: str) -> None:
    """Write down more windows where those of a budget end within a year, or do not hold `now`. In a transaction."""
    for zone, period in connection.execute("select distinct zone, period from budget").fetchall():
        lay(connection, zone, period, around=now)


def _periods(period: str, first: date, last: date) -> Iterator[tuple[date, date, str]]:
    """First day, day after the last, and name of each period that holds a day from `first` to `last`."""
    begin = _begin(period, first)
    while begin <= last:
        end = _begin(period, begin + timedelta(days={"day": 1, "week": 7, "month": 31}[period]))
        yield begin, end, _name(period, begin)
        begin = end


def _begin(period: str, day: date) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def _name(period: str, begin: date) -> str:
    if period == "week":
        return f"{begin:%G-W%V}"
    return begin.isoformat()[: 7 if period == "month" else 10]
