"""What is worth a decision: a budget is spent in part or whole, or will be, or nobody knows, or a day is unusual."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from agent_ledger.control import asking
from agent_ledger.records import Row

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found. `once` names it: the same thing is found again at each tick, and recorded once."""

    kind: str  # step, exceeded, hard cap, forecast, anomaly or incomplete
    scope: str
    key: str
    text: str  # a sentence with the numbers
    once: str
    percent: int | None = None  # of the limit, which is reached
    status: Row | None = None  # the row of budget_status; None: no budget is concerned
    numbers: dict[str, Any] = field(default_factory=dict)

    @property
    def budget(self) -> str | None:
        """budget.name."""
        return None if self.status is None else str(self.status["budget"])


def detect(connection: sqlite3.Connection, now: str | None) -> tuple[list[Row], list[Finding]]:
    """The rows of budget_status, and what is found in them and in spend_anomaly, at `now`. Reads only."""
    status = asking.rows(connection, "budget_status", now)
    found = [finding for row in status for finding in _of_budget(row)]
    found += [_unusual(row) for row in asking.rows(connection, "spend_anomaly", now, is_unusual=1)]
    return status, found


def amount(row: Row, column: str) -> str:
    """An amount of a row of budget_status in the unit of its limit, for a sentence: spent, limit, forecast, …"""
    if row["limit_tokens"] is not None:
        value = row[f"{column}_tokens"]
        return "unknown" if value is None else f"{value:,.0f} tokens"
    value = row[f"{column}_usd"]
    return "unknown" if value is None else dollars(value)


def dollars(value: float) -> str:
    """Dollars for a sentence, with more digits where they are few."""
    return f"${value:,.2f}" if abs(value) >= 1 or value == 0 else f"${value:.6f}".rstrip("0")


def _of_budget(row: Row) -> Iterator[Finding]:
    if row["window"] is None:
        return
    place = f"{row['budget']}|{row['window']}|{row['budget_id']}"  # another limit is another budget
    spent, limit, percent = amount(row, "spent"), amount(row, "limit"), row["reached_percent"]
    whose = f"{row['scope']} {row['key']}" if row["scope"] != "everything" else "everything"
    common = {"scope": row["scope"], "key": row["key"], "status": row, "numbers": _numbers(row)}
    share = "" if row["used_share"] is None else f" ({row['used_share']:.0%})"
    if percent is not None:
        kind = "step" if percent < 100 else "exceeded"
        if row["hard_percent"] is not None and percent >= row["hard_percent"]:
            kind = "hard cap"
        yield Finding(
            kind=kind,
            text=f"{whose} has spent {spent} of {limit}{share} in {row['window']}: {percent} % is reached",
            once=f"{place}|{percent}",
            percent=percent,
            **common,
        )
    elif row["state"] == "forecast over" and _is_certain(row):
        yield Finding(
            kind="forecast",
            text=(
                f"{whose} has spent {spent} of {limit}{share} in {row['window']} and will have spent "
                f"{amount(row, 'forecast')} at its end ({_made_from(row)}, certainty {row['certainty']})"
            ),
            once=f"{place}|forecast",
            **common,
        )
    if row["unknown_calls"] or (row["limit_tokens"] is None and row["limit_usd"] is None):
        why = (
            f"{row['unknown_calls']} calls of {whose} have no known {_what(row)} in {row['window']}"
            if row["unknown_calls"]
            else f"no exchange rate is known for {row['currency']}"
        )
        yield Finding(
            kind="incomplete", text=f"{why}, so {spent} of {limit} is not all", once=f"{place}|incomplete", **common
        )


def _is_certain(row: Row) -> bool:
    low, limit = row["forecast_low_usd"], row["limit_usd"]
    return row["certainty"] in ("high", "medium") or (low is not None and limit is not None and low > limit)


def _made_from(row: Row) -> str:
    if row["forecast_method"] == "rate":
        return "at the rate so far"
    by = "by weekday" if row["forecast_method"] == "weekdays" else "all alike"
    return f"from {row['forecast_days']} days, {by}"


def _what(row: Row) -> str:
    return "token count" if row["limit_tokens"] is not None else "price"


def _numbers(row: Row) -> dict[str, Any]:
    names = (
        *("window", "window_start", "window_end", "period", "basis", "tier", "state", "limit_usd", "spent_usd"),
        *("forecast_usd", "forecast_low_usd", "forecast_high_usd", "used_share", "reached_percent", "limit_tokens"),
        *("spent_tokens", "forecast_tokens", "unknown_calls", "uncosted_calls"),
    )
    return {name: row[name] for name in names if row[name] is not None}


def _unusual(row: Row) -> Finding:
    weekday = _WEEKDAYS[date.fromisoformat(row["day"]).weekday()]
    return Finding(
        kind="anomaly",
        scope="agent",
        key=row["agent_id"],
        text=(
            f"agent {row['agent_id']} has spent {dollars(row['spent_usd'])} on {weekday} {row['day']}: the median of "
            f"{row['days']} {weekday}s is {dollars(row['median_usd'])}, their median deviation "
            f"{dollars(row['deviation_usd'])}, so more than {dollars(row['threshold_usd'])} is unusual"
        ),
        once=f"{row['agent_id']}|{row['day']}|anomaly",
        numbers={name: value for name, value in row.items() if name != "is_unusual"},
    )
