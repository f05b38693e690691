"""How values are shown: amounts, counts and shares as text of one form everywhere. Nothing is computed here."""

from __future__ import annotations

from typing import Any

UNKNOWN = "–"
"""What is not known is not zero."""

_NAMES = {"agent_id": "agent", "customer_id": "customer", "request_id": "request", "cost_usd": "cost USD"}


def kind_of(column: str) -> str:
    """What a column holds, by its name: money, price, share, count or text."""
    if column.endswith("_usd_mtok") or column in ("other_input", "other_output"):
        return "price"
    if column.endswith("_usd") or column == "usd":
        return "money"
    if column.endswith("_share") or column == "share":
        return "share"
    if column.endswith(("calls", "tokens", "_ms", "lines", "rows")) or column in ("charges", "weight", "units", "part"):
        return "count"
    return "text"


def label(column: str) -> str:
    """A column's name for people."""
    named = _NAMES.get(column, column.removesuffix("_usd_mtok") if column.endswith("_usd_mtok") else column)
    return named.replace("_usd", " USD").replace("_", " ")


def text(column: str, value: Any) -> str:
    """One value as text."""
    if value is None:
        return UNKNOWN
    kind = kind_of(column)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if kind == "money":
            return money(value)
        if kind == "price":
            return f"{value:,.6f}".rstrip("0").rstrip(".")
        if kind == "share":
            return f"{value:.1%}"
        if isinstance(value, int):
            return f"{value:,}" if kind == "count" else str(value)
        return f"{value:,.6g}"
    return str(value)


def money(value: float) -> str:
    """Dollars with cents; what is less than a cent with the digits that tell it from nothing."""
    if value == 0 or abs(value) >= 0.005:
        return f"{value:,.2f}"
    return f"{value:.12f}".rstrip("0") if abs(value) < 0.00005 else f"{value:.4f}"
