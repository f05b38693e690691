"""How values are shown: amounts, counts and shares as text of one form everywhere. Nothing is computed here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from datasette_agent_ledger.charts import labels

UNKNOWN = "–"
"""What is not known is not zero."""

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.\d+)?Z)?\Z", re.ASCII)
_LONGEST = 160  # characters of a cell; the rows behind it have all
_TIMES = ("_ts", "_at", "_from", "_to", "_until", "_start", "_end", "_through")
_NAMES = {"agent_id": "agent", "customer_id": "customer", "request_id": "request", "cost_usd": "cost USD"}


def kind_of(column: str) -> str:
    """What a column holds, by its name: money, price, share, count, time or text."""
    if column == "ts" or column.endswith(_TIMES):
        return "time"
    if column.endswith("_usd_mtok") or column in ("other_input", "other_output"):
        return "price"
    if column.endswith("_usd") or column == "usd":
        return "money"
    if column.endswith("_share") or column == "share":
        return "share"
    if column.endswith(("calls", "tokens", "_ms", "lines", "rows", "calls_difference")) or column in (
        "charges",
        "weight",
        "units",
        "part",
    ):
        return "count"
    return "text"


def label(column: str) -> str:
    """A column's name for people."""
    named = _NAMES.get(column, column.removesuffix("_usd_mtok") if column.endswith("_usd_mtok") else column)
    return named.replace("_usd", " USD").replace("_", " ")


def text(column: str, value: Any, digits: int = 2) -> str:
    """One value as text; amounts with so many digits after the point."""
    if value is None:
        return UNKNOWN
    kind = kind_of(column)
    if kind == "time" and isinstance(value, str):
        return moment(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if kind == "money":
            return money(value, digits)
        if kind == "price":
            return f"{value:,.6f}".rstrip("0").rstrip(".")
        if kind == "share":
            return f"{value:.1%}"
        if isinstance(value, int):
            return f"{value:,}" if kind == "count" else str(value)
        return f"{value:,.6g}"
    return labels.shorten(str(value), _LONGEST)


def moment(value: str) -> str:
    """A time of the ledger (UTC) to the second, and a day where it is the beginning of one."""
    if value.startswith("0001-01-01"):
        return "always"
    if value.startswith("9999-12-31"):
        return "open"
    found = _MOMENT.match(value)
    if found is None:
        return labels.shorten(value, _LONGEST)
    day, clock = found.groups()
    return day if clock in (None, "00:00:00") else f"{day} {clock}"


def digits(amounts: Iterable[Any]) -> int:
    """How many digits after the point amounts of one column have: more where all of them are small."""
    known = [abs(amount) for amount in amounts if isinstance(amount, int | float)]
    return 4 if known and 0 < max(known) < 10 else 2


def money(value: float, digits: int = 2) -> str:
    """Dollars; what would round to nothing with the digits that tell it from nothing."""
    shown = f"{value:,.{digits}f}"
    if value and not shown.strip("-0.,"):
        shown = f"{value:.12f}".rstrip("0")
    return shown.replace("-", "\N{MINUS SIGN}")  # which is as wide as a digit, so that columns stay aligned
