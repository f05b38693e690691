"""The SQL behind `agent-ledger report`: the cost views for a part of the time, and by the calendar of any time zone.

Without either it reads the canonical view. Otherwise it adds up `call_cost`, `tool_cost` and `unallocated_charge` as
sql/views/daily_cost.sql and the other cubes do; a test holds the two equal. Calls count when they were made, what no
call claimed of a bill when its period begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from agent_ledger import clock, periods, summing
from agent_ledger.records import Row
from agent_ledger.selecting import Selects

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

ALL_IN_AXES = tuple(by for by in AXES if by != "model")
"""What can be reported by, all in: a tool call has no model."""

TOOL = "tool"
"""One more thing to report by: the tools, which have no LLM cost."""

CALENDAR = ("day", "month")
_DIGITS = {"day": 10, "month": 7}  # of an ISO date that name the period

_LAST_MONTH = date.max.replace(day=1)

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH = re.compile(r"\d{4}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*")

# As in the views: two exact integer sums, then the nearest double.
_SPLIT = "sum({0}4096ths + {0}picos / 244140625) as {1}whole, sum({0}picos % 244140625) as {1}rest"
# What was not called costs nothing; what nobody knows the cost of is not nothing.
_SPLIT_OR_ZERO = (
    "coalesce(sum({0}_4096ths + {0}_picos / 244140625), iif(coalesce(sum({1}), 0) = 0, 0, null)) as {0}_whole, "
    "coalesce(sum({0}_picos % 244140625), iif(coalesce(sum({1}), 0) = 0, 0, null)) as {0}_rest"
)
_USD = """
  iif(
    abs({part}whole + {part}rest / 244140625) < 36893488,
    ({part}whole * 244140625 + {part}rest) / 1e12,
    ({part}whole + {part}rest / 244140625) / 4096.0 + {part}rest % 244140625 / 1e12
  ) as {name}
"""


@dataclass(frozen=True, slots=True)
class _Figures:
    """One kind of report: its view, the rows that it adds up where the view does not fit, and how."""

    view: str
    sums: str  # the measures; whole and rest are the exact sum of all money
    measured: str
    measures: tuple[str, ...]
    source: summing.Source | None  # of what is added up; None: everything


_CALLS = _Figures(
    view="cost_by_",
    sums=f"""
      coalesce(sum(calls), 0) as calls,
      sum(prompt_tokens) as prompt_tokens,
      sum(cache_read_tokens) as cache_read_tokens,
      sum(cache_write_tokens) as cache_write_tokens,
      sum(completion_tokens) as completion_tokens,
      {_SPLIT.format("cost_", "")},
      coalesce(sum(iif(cost_picos is null, calls, 0)), 0) as unpriced_calls
    """,
    measured=f"""
      calls, prompt_tokens, cache_read_tokens, cache_write_tokens, completion_tokens,
      {_USD.format(part="", name="cost_usd")},
      unpriced_calls
    """,
    measures=(
        *("calls", "prompt_tokens", "cache_read_tokens", "cache_write_tokens", "completion_tokens"),
        *("cost_usd", "unpriced_calls"),
    ),
    source=summing.CALLS,
)
_TOOL_CALLS = _Figures(
    view="cost_by_",
    sums=f"""
      coalesce(sum(calls), 0) as calls,
      coalesce(sum(failed_calls), 0) as failed_calls,
      coalesce(sum(uncosted_calls), 0) as uncosted_calls,
      {_SPLIT.format("cost_", "")}
    """,
    measured=f"calls, failed_calls, uncosted_calls, {_USD.format(part='', name='cost_usd')}",
    measures=("calls", "failed_calls", "uncosted_calls", "cost_usd"),
    source=summing.TOOL_CALLS,
)
_ALL_IN = _Figures(
    view="all_in_by_",
    sums=f"""
      coalesce(sum(calls), 0) as calls,
      coalesce(sum(tool_calls), 0) as tool_calls,
      {_SPLIT_OR_ZERO.format("llm", "unpriced_calls")},
      {_SPLIT_OR_ZERO.format("tool", "uncosted_calls")},
      sum(coalesce(llm_4096ths + llm_picos / 244140625, 0) + coalesce(tool_4096ths + tool_picos / 244140625, 0)
        + iif(coalesce(llm_picos, tool_picos) is null, null, 0)) as whole,
      sum(coalesce(llm_picos % 244140625, 0) + coalesce(tool_picos % 244140625, 0)
        + iif(coalesce(llm_picos, tool_picos) is null, null, 0)) as rest,
      coalesce(sum(unpriced_calls), 0) as unpriced_calls,
      coalesce(sum(uncosted_calls), 0) as uncosted_calls
    """,
    measured=f"""
      calls,
      tool_calls,
      {_USD.format(part="llm_", name="llm_usd")},
      {_USD.format(part="tool_", name="tool_usd")},
      {_USD.format(part="", name="all_in_usd")},
      unpriced_calls,
      uncosted_calls
    """,
    measures=("calls", "tool_calls", "llm_usd", "tool_usd", "all_in_usd", "unpriced_calls", "uncosted_calls"),
    source=None,
)

_WITHIN = "(:since is null or period_start >= :since) and (:until is null or period_start < :until)"


def keys(by: str) -> tuple[str, ...]:
    """The columns that name a row of a report."""
    return ("server", "tool") if by == TOOL else (AXES[by],)


def columns(by: str, *, all_in: bool = False) -> tuple[str, ...]:
    """The columns of a report, which are those of the canonical view."""
    return (*keys(by), *_figures(by, all_in).measures)


def report(
    connection: Selects,
    by: str,
    *,
    all_in: bool = False,
    since: str | None = None,
    until: str | None = None,
    zone: tzinfo = UTC,
) -> list[Row]:
    """Calls and cost per `by`, one of AXES or TOOL, of the time from `since` on and before `until`, ledger timestamps.

    `all_in`: LLM calls, tool calls and what no call claimed of the bills, by one of ALL_IN_AXES. `zone` says whose days
    and months they are. Periods without calls are left out; the rows add up to `total`.
    """
    if since is None and until is None and not _elsewhere(by, zone):
        order = ", ".join(keys(by))
        named = ", ".join(columns(by, all_in=all_in))
        return _rows(connection, f"select {named} from {_figures(by, all_in).view}{by} order by {order}")
    return [
        {name: row[name] for name in columns(by, all_in=all_in)}
        for row in exact(connection, by, all_in=all_in, since=since, until=until, zone=zone)
    ]


def exact(
    connection: Selects,
    by: str,
    *,
    all_in: bool = False,
    since: str | None = None,
    until: str | None = None,
    zone: tzinfo = UTC,
) -> list[Row]:
    """The rows of `report` with the exact amount `picos`, in pico-dollars (1e-12 USD), besides. None: not known."""
    found = _rows(connection, _statement(connection, _figures(by, all_in), by, zone, since, until))
    for row in found:
        whole, rest = row.pop("whole"), row.pop("rest")
        row["picos"] = None if whole is None else whole * 244140625 + rest
    return found


def total(
    connection: Selects,
    by: str = "agent",
    *,
    all_in: bool = False,
    since: str | None = None,
    until: str | None = None,
) -> Row:
    """The measures of the whole period: what the rows of a report add up to. Amounts are None where none is known."""
    figures = _figures(by, all_in)
    source = _source(connection, figures, since, until)
    summed = f"with summed as (select {figures.sums} from ({source}))"
    (row,) = _rows(connection, f"{summed} select {figures.measured} from summed")
    return row


def billed(connection: Selects, *, since: str | None = None, until: str | None = None) -> Row:
    """How far the cloud bills reach (`billed_through`, None: there is none), and how many lines are in no sum.

    The lines are those of the period; as far as bills reach, they do so whatever the period.
    """
    sql = f"""
      select
        -- As in view coverage.
        coalesce(
          max(iif(category = 'usage' and julianday(period_end) - julianday(period_start) < 1.5, period_end, null)),
          max(iif(category = 'usage', period_end, null))
        ) as billed_through,
        coalesce(sum(cost_picos is null and {_WITHIN}), 0) as unconverted_charges
      from billed_charge
      where kind = 'cloud'
    """
    (row,) = _rows(connection, sql, {"since": since, "until": until})
    return row


def sharing(connection: Selects) -> str:
    """How what no call claimed of the bills is shared over agents: the method of the newest rule, or none."""
    found = connection.execute("select method from sharing_rule order by id desc limit 1").fetchone()
    return str(found[0]) if found else "none"


def shared(connection: Selects, month: str) -> dict[str, float]:
    """What of a month's unclaimed charges falls on each agent, in dollars; `month` is one of UTC."""
    return dict(
        tuple(row)
        for row in connection.execute("select agent_id, shared_usd from shared_by_agent where month = ?", [month])
    )


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


def _rows(connection: Selects, sql: str, parameters: dict[str, Any] | None = None) -> list[Row]:
    found = connection.execute(sql, parameters or {})
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def _figures(by: str, all_in: bool) -> _Figures:
    if by == TOOL:
        return _TOOL_CALLS
    return _ALL_IN if all_in else _CALLS


def _statement(
    connection: Selects, figures: _Figures, by: str, zone: tzinfo, since: str | None, until: str | None
) -> str:
    """The statement that adds up the rows of a report: its columns, and the exact sum of all money in two parts."""
    elsewhere = _elsewhere(by, zone)
    finest = periods.DAY if by == "day" else periods.MONTH
    if elsewhere:
        finest = _lay_calendar(connection, figures, by, zone, since, until)
    source = _source(connection, figures, since, until, by_customer=by == "customer", largest=finest)
    named = ", ".join(f"{_key(key, by, elsewhere)} as {key}" for key in keys(by))
    numbers = ", ".join(str(number + 1) for number in range(len(keys(by))))
    return (
        f"with summed as (select {named}, {figures.sums} from ({source}) group by {numbers})"
        f" select {', '.join(keys(by))}, {figures.measured}, whole, rest from summed order by {numbers}"
    )


def _source(
    connection: Selects,
    figures: _Figures,
    since: str | None,
    until: str | None,
    *,
    by_customer: bool = False,
    largest: int = periods.MONTH,
) -> str:
    if figures.source is None:
        return summing.all_in_rows(connection, since, until, by_customer=by_customer, largest=largest)
    return summing.rows(connection, figures.source, since, until, by_customer=by_customer, largest=largest)


def _key(column: str, by: str, elsewhere: bool) -> str:
    if elsewhere:
        moment = "bucket || substr('0000-01-01T00:00:00.000Z', length(bucket) + 1)"
        return f"(select name from temp.report_calendar where starts <= {moment} order by starts desc limit 1)"
    if by in CALENDAR:
        return f"cast(substr(bucket, 1, {_DIGITS[by]}) as text)"
    return (
        column if by in ("agent", "model") or column == TOOL else f"cast(coalesce({column}, '(unattributed)') as text)"
    )


def _elsewhere(by: str, zone: tzinfo) -> bool:
    """Is it the calendar of a zone whose days are not UTC's?"""
    return by in CALENDAR and not _is_utc(zone)


def _lay_calendar(
    connection: Selects, figures: _Figures, by: str, zone: tzinfo, since: str | None, until: str | None
) -> int:
    """When each day or month of `zone` begins that calls can fall into, in a temporary table that only we see.

    Returns the largest of `periods` that none of them divides.
    """
    found = _source(connection, figures, since, until, largest=periods.DAY)
    days = [row[0] for row in connection.execute(f"select distinct substr(bucket, 1, 10) from ({found})")]
    begins = {period: _midnight(period, zone) for period in sorted(set(_around(days, by)))}
    connection.execute("drop table if exists temp.report_calendar")
    connection.execute("create temp table report_calendar (starts text primary key, name text) without rowid")
    # In order: a day that a zone skipped (Samoa, 30 December 2011) begins when the next one does, and is replaced.
    for period, starts in begins.items():
        named = (starts, period.isoformat()[: _DIGITS[by]])
        connection.execute("insert or replace into temp.report_calendar (starts, name) values (?, ?)", named)
    return periods.HOUR if all(starts.endswith(":00:00.000Z") for starts in begins.values()) else periods.MOMENT


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
