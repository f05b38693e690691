"""What the user says about bills and tools: allocation and sharing rules, exchange rates, tool prices: dated rows."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from agent_ledger import archive_identity, clock, money
from agent_ledger.errors import InvalidRecord
from agent_ledger.validation import check_text

_RULE: Final = (
    "name", "priority", "provider", "account", "service", "resource_id", "operation", "usage_type", "category", "tool",
    "server", "tool_resource_id", "tool_operation", "method", "weight", "unit",
)  # fmt: skip
_CHOICES: Final = {"method": ("metered", "weighted", "none"), "weight": ("calls", "units", "duration")}


SHARING: Final = ("even", "proportional", "fixed", "none")
"""How the rest of the bills can be shared over agents."""


def add_rule(connection: sqlite3.Connection, **given: Any) -> None:
    """Store a row of `allocation_rule`. Raises InvalidRecord."""
    for column, value in given.items():
        if column not in _RULE:
            raise InvalidRecord(column, value, f"no such column; the columns are {', '.join(_RULE)}")
        if column == "priority":
            if not isinstance(value, int):
                raise InvalidRecord(column, value, "give a whole number")
        elif value is not None or column == "name":
            check_text(column, value)
    for column, choices in _CHOICES.items():
        if column in given and given[column] not in choices:
            raise InvalidRecord(column, given[column], f"give one of {', '.join(choices)}")
    _insert(connection, "allocation_rule", given)


def add_exchange_rate(connection: sqlite3.Connection, currency: str, usd: object, effective_from: object) -> None:
    """Store a row of `exchange_rate`. Raises InvalidRecord."""
    if not re.fullmatch("[A-Z]{3}", currency) or currency == "USD":
        raise InvalidRecord("currency", currency, "give another currency than USD by its three letters, such as EUR")
    try:
        worth = float(money.decimal(usd))
    except ValueError:
        worth = math.nan
    if not 0 < worth < 1e9:
        raise InvalidRecord("usd", _plain(usd), "give what one unit is worth in US dollars, such as 1.08")
    values = {"currency": currency, "effective_from": _moment("effective_from", effective_from), "usd": worth}
    _insert(connection, "exchange_rate", values)


def add_tool_price(
    connection: sqlite3.Connection,
    tool: str,
    price: object,
    *,
    server: str | None,
    unit: str | None,
    effective_from: object,
    effective_to: object,
) -> None:
    """Store a row of `tool_price`. Raises InvalidRecord."""
    for name, value in {"tool": tool, "server": server, "unit": unit}.items():
        if value is not None or name == "tool":
            check_text(name, value)
    try:
        picos = money.picos(price)
    except ValueError:
        picos = -1
    if not 0 <= picos < 2**63:
        raise InvalidRecord("price", _plain(price), "give an amount in US dollars, such as 0.005")
    start = _moment("effective_from", effective_from)
    end = None if effective_to is None else _moment("effective_to", effective_to)
    if end is not None and end <= start:
        raise InvalidRecord("effective_to", effective_to, "give a time after effective_from")
    values = {"tool": tool, "server": server, "unit": unit, "price": picos}
    with archive_identity.admitting(connection):
        _insert(connection, "tool_price", {**values, "effective_from": start, "effective_to": end})


def add_sharing_rule(connection: sqlite3.Connection, method: str, shares: Mapping[str, object] | None) -> None:
    """Store a row of `sharing_rule`. Raises InvalidRecord."""
    if method not in SHARING:
        raise InvalidRecord("method", method, f"give one of {', '.join(SHARING)}")
    if (method == "fixed") != bool(shares):
        raise InvalidRecord("shares", None, "give a weight per agent with fixed, and only there")
    weights = {agent: _weight(agent, weight) for agent, weight in (shares or {}).items()}
    if weights and not any(weights.values()):
        raise InvalidRecord("shares", 0, "give a weight above 0 to one agent at least")
    values = {"method": method, "shares": json.dumps(weights, ensure_ascii=False) if weights else None}
    _insert(connection, "sharing_rule", values)


def _weight(agent: str, weight: object) -> float:
    check_text("agent_id", agent)
    try:
        number = float(money.decimal(weight))
    except ValueError:
        number = math.nan
    if not 0 <= number < 1e12:
        raise InvalidRecord("shares", _plain(weight), "give a weight such as 3 or 0.25")
    return number


def _plain(amount: object) -> object:
    return float(amount) if isinstance(amount, Decimal) else amount


def _moment(name: str, value: object) -> str:
    if value is None:
        return clock.BEGINNING
    try:
        return clock.parse(value)
    except ValueError:
        raise InvalidRecord(name, value, "give a date such as 2026-01-31") from None


def _insert(connection: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
    sql = f"insert into {table} ({', '.join(values)}) values ({', '.join('?' * len(values))})"
    connection.execute(sql, list(values.values()))
