"""The SQL behind `agent-ledger report`: the cost views for a part of the time, and by the calendar of any time zone.

Without either it reads the canonical view. Otherwise it adds up `call_cost` as sql/views/daily_cost.sql does; a test
holds the two equal.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from agent_ledger import clock
from agent_ledger.records import Row

AXES = {
    "agent": "agent_id",
    "team": "team",
    "feature": "feature",
    "customer": "customer_id",
    "model": "model",
    "day": "day",
    "month": "month",
}
"""What can be reported by, and the column that names it."""

MEASURES = (
    "calls",
    "prompt_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "completion_tokens",
    "cost_usd",
    "unpriced_calls",
)

CALENDAR = ("day", "month")
_DIGITS = {"day": 10, "month": 7}  # of an ISO date that name the period

_LAST_MONTH = date.max.replace(day=1)

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH = re.compile(r"\d{4}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*")

# As in sql/views/daily_cost.sql: two exact sums, then the nearest double.
_SUMS = """
  count(*) as calls,
  sum(prompt_tokens) as prompt_tokens,
  sum(coalesce(cache_read_tokens, 0)) as cache_read_tokens,
  sum(coalesce(cache_write_tokens, 0)) as cache_write_tokens,
  sum(completion_tokens) as completion_tokens,
  sum(cost_picos / 244140625) as whole,
  sum(cost_picos % 244140625) as rest,
  coalesce(sum(cost_picos is null), 0) as unpriced_calls
"""
_MEASURED = """
  calls,
  prompt_tokens,
  cache_read_tokens,
  cache_write_tokens,
  completion_tokens,
  iif(
    whole + rest / 244140625 < 36893488,
    (whole * 244140625 + rest) / 1e12,
    (whole + rest / 244140625) / 4096.0 + rest % 244140625 / 1e12
  ) as cost_usd,
  unpriced_calls
"""

_WITHIN = "(:since is null or ts >= :since) and (:until is null or ts < :until)"


def columns(by: str) -> tuple[str, ...]:
    """The columns of a report, which are those of the canonical view."""
    return (AXES[by], *MEASURES)


def report(
    connection: sqlite3.Connection, by: str, *, since: str | None = None, until: str | None = None, zone: tzinfo = UTC
) -> list[Row]:
    """Calls, tokens and cost per `by`, one of AXES, of the calls from `since` on and before `until`, ledger timestamps.

    `zone` says whose days and months they are. Periods without calls are left out; the rows add up to `total`.
    """
    bounds = {"since": since, "until": until}
    elsewhere = by in CALENDAR and not _is_utc(zone)
    if since is None and until is None and not elsewhere:
        return _rows(connection, f"select {', '.join(columns(by))} from cost_by_{by} order by 1")
    if elsewhere:
        _lay_calendar(connection, by, zone, bounds)
    summed = f"select {_key(by, elsewhere)} as {AXES[by]}, {_SUMS} from call_cost where {_WITHIN} group by 1"
    return _rows(connection, f"with summed as ({summed}) select {AXES[by]}, {_MEASURED} from summed order by 1", bounds)


def total(connection: sqlite3.Connection, *, since: str | None = None, until: str | None = None) -> Row:
    """The measures of the whole period: what the rows of a report add up to. `cost_usd` None: no call is priced."""
    summed = f"select {_SUMS} from call_cost where {_WITHIN}"
    bounds = {"since": since, "until": until}
    (row,) = _rows(connection, f"with summed as ({summed}) select {_MEASURED} from summed", bounds)
    return row


def start_of(text: str, zone: tzinfo = UTC) -> str:
    """From when a period counts that the user begins with `text`: a date begins at its midnight in `zone`.

    A time without an offset is one of `zone` too. Raises ValueError for what is neither.
    """
    day = _date(text)
    return _time(text, zone) if day is None else _midnight(day, zone)


def end_of(text: str, zone: tzinfo = UTC) -> str:
    """Until when, exclusively, a period counts that the user ends with `text`: a date is part of it, a time is not."""
    day = _date(text)
    if day is None:
        return _time(text, zone)
    return clock.END if day == date.max else _midnight(_next(day), zone)


def month_of(text: str, zone: tzinfo = UTC) -> tuple[str, str]:
    """The bounds of a month, given as YYYY-MM, in `zone`. Raises ValueError."""
    if not _MONTH.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is not a month")
    first = date.fromisoformat(f"{text.strip()}-01")
    return _midnight(first, zone), clock.END if first == _LAST_MONTH else _midnight(_next_month(first), zone)


def _rows(connection: sqlite3.Connection, sql: str, parameters: dict[str, Any] | None = None) -> list[Row]:
    found = connection.execute(sql, parameters or {})
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def _key(by: str, elsewhere: bool) -> str:
    if elsewhere:
        return "(select name from temp.report_calendar where starts <= ts order by starts desc limit 1)"
    if by in CALENDAR:
        return f"cast(substr(ts, 1, {_DIGITS[by]}) as text)"
    column = AXES[by]
    return column if by in ("agent", "model") else f"cast(coalesce({column}, '(unattributed)') as text)"


def _lay_calendar(connection: sqlite3.Connection, by: str, zone: tzinfo, bounds: dict[str, Any]) -> None:
    """When each day or month of `zone` begins that calls can fall into, in a temporary table that only we see."""
    days = [
        row[0]
        for row in connection.execute(f"select distinct substr(ts, 1, 10) from call_cost where {_WITHIN}", bounds)
    ]
    begins = {period: _midnight(period, zone) for period in sorted(set(_around(days, by)))}
    connection.execute("drop table if exists temp.report_calendar")
    connection.execute("create temp table report_calendar (starts text primary key, name text) without rowid")
    # In order: a day that a zone skipped (Samoa, 30 December 2011) begins when the next one does, and is replaced.
    connection.executemany(
        "insert or replace into temp.report_calendar (starts, name) values (?, ?)",
        [(starts, period.isoformat()[: _DIGITS[by]]) for period, starts in begins.items()],
    )


def _around(utc_days: Iterable[str], by: str) -> Iterator[date]:
    """The first days of the local periods that UTC days can reach into, and of those right after."""
    for text in utc_days:
        day = date.fromisoformat(text)
        for local in (_previous(day), day, _next(day)):
            period = local if by == "day" else local.replace(day=1)
            yield period
            yield _next(period) if by == "day" else _next_month(period)


def _midnight(day: date, zone: tzinfo) -> str:
    # The first day that there is begins with time itself, also where its midnight is not in the calendar or late.
    return clock.BEGINNING if day == date.min else clock.local_midnight(day, zone)  # type: ignore[arg-type]


def _previous(day: date) -> date:
    return day if day == date.min else day - timedelta(days=1)


def _next(day: date) -> date:
    return day if day == date.max else day + timedelta(days=1)


def _next_month(first: date) -> date:
    return first if first == _LAST_MONTH else (first + timedelta(days=31)).replace(day=1)


def _date(text: str) -> date | None:
    return date.fromisoformat(text.strip()) if _DATE.fullmatch(text.strip()) else None


def _time(text: str, zone: tzinfo) -> str:
    if not _TIME.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is neither a date nor a time")
    moment = datetime.fromisoformat(text.strip())
    try:
        return clock.timestamp(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    except OverflowError:
        raise ValueError(f"{text!r} is beyond the calendar") from None


def _is_utc(zone: tzinfo) -> bool:
    return zone is UTC or (isinstance(zone, ZoneInfo) and zone.key in ("UTC", "Etc/UTC"))
