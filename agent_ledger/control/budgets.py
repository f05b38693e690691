"""What the user says about budgets: how much, of whom, what happens then; and who may overrun them for a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from agent_ledger import clock, money
from agent_ledger.control import windows
from agent_ledger.errors import InvalidRecord, LedgerError
from agent_ledger.validation import check_text

SCOPES: Final = ("agent", "team", "feature", "customer", "model", "everything")
BREACHES: Final = ("notify", "throttle", "block")
BASES: Final = ("llm", "all-in")
EVERYTHING: Final = "(everything)"
STEPS: Final = (50, 80, 100)
_LARGEST: Final = 10**11  # in any currency, and 10^18 tokens
_OF_ROW: Final = (
    *("scope", "key", "period", "zone", "basis", "limit_micros", "currency", "limit_tokens", "steps", "on_breach"),
    *("throttle_to", "hard_percent", "tier"),
)


def set_budget(
    connection: sqlite3.Connection,
    scope: str,
    key: str | None,
    *,
    now: str,
    period: str,
    limit: object = None,
    currency: str = "USD",
    tokens: int | None = None,
    name: str | None = None,
    zone: str = "UTC",
    basis: str = "llm",
    steps: Sequence[int] = STEPS,
    on_breach: str = "notify",
    throttle_to: str | Mapping[str, str] | None = None,
    hard_percent: int | None = None,
    tier: str | None = None,
    valid_from: object = None,
    recorded_by: str | None = None,
    reason: str | None = None,
) -> str:
    """Store a row of `budget`, which holds from `valid_from` (None: now) on. Returns its name. Raises InvalidRecord.

    `name` None: made from whose it is and the period; a budget of that name is changed by it.
    """
    if scope == "everything":
        key = EVERYTHING
    values: dict[str, Any] = {"scope": scope, "key": key, "period": period, "zone": zone, "basis": basis}
    for column, choices in {"scope": SCOPES, "period": windows.PERIODS, "basis": BASES}.items():
        _choose(column, values[column], choices)
    _choose("on_breach", on_breach, BREACHES)
    windows.zone_of(zone)
    check_text("key", key)
    mapping = _mapping(throttle_to)
    if on_breach == "throttle" and mapping is None:
        raise InvalidRecord("throttle_to", None, "say which model to use instead, or choose notify or block")
    if scope == "model" and basis == "all-in":
        raise InvalidRecord("basis", basis, "a tool call has no model: give llm")
    values |= _limit(limit, currency, tokens, basis)
    values |= {"on_breach": on_breach, "throttle_to": mapping, "steps": _steps(steps)}
    values |= {"hard_percent": _hard(hard_percent), "tier": _text("tier", tier)}
    values["name"] = _text("name", name) or _name(scope, str(key), period, values)
    start = _moment("valid_from", valid_from, now)
    said = {"recorded_by": _text("recorded_by", recorded_by), "reason": _text("reason", reason), "recorded_at": now}
    windows.lay(connection, zone, period, around=max(start, now))
    _insert(connection, "budget", {"event": "set", "valid_from": start, **said, **values})
    return str(values["name"])


def end_budget(
    connection: sqlite3.Connection,
    name: str,
    *,
    now: str,
    valid_from: object = None,
    recorded_by: str | None = None,
    reason: str | None = None,
) -> None:
    """End a budget from `valid_from` (None: now) on. Raises LedgerError where there is none of that name."""
    held = _held(connection, name)
    said = {"recorded_by": _text("recorded_by", recorded_by), "reason": _text("reason", reason), "recorded_at": now}
    start = _moment("valid_from", valid_from, now)
    _insert(connection, "budget", {**held, "name": name, "event": "end", "valid_from": start, **said})


def grant_exception(
    connection: sqlite3.Connection,
    budget: str,
    *,
    now: str,
    until: object,
    granted_by: str,
    reason: str | None = None,
    valid_from: object = None,
) -> int:
    """Let a budget be overrun from `valid_from` (None: now) until a moment. Returns the exception's row.

    Raises InvalidRecord, and LedgerError where there is no budget of that name.
    """
    _held(connection, budget)
    start, end = _moment("valid_from", valid_from, now), _moment("valid_until", until, now)
    if end <= start:
        raise InvalidRecord("valid_until", until, f"give a time after {start}")
    check_text("granted_by", granted_by)
    values = {"budget": budget, "valid_from": start, "valid_until": end, "granted_by": granted_by}
    return _insert(connection, "budget_exception", {**values, "reason": _text("reason", reason), "recorded_at": now})


def revoke_exception(
    connection: sqlite3.Connection, exception_id: int, *, now: str, granted_by: str, reason: str | None = None
) -> None:
    """End an exception now. Raises LedgerError where it does not hold."""
    row = connection.execute(
        "select budget, valid_until from budget_exception as granted where id = ? and revokes is null"
        " and valid_until > ? and not exists (select 1 from budget_exception where revokes = granted.id)",
        [exception_id, now],
    ).fetchone()
    if row is None:
        raise LedgerError(f"no exception {exception_id} holds: see the view exception_in_force")
    check_text("granted_by", granted_by)
    values = {"budget": row[0], "valid_from": now, "valid_until": row[1], "granted_by": granted_by}
    values |= {"reason": _text("reason", reason), "revokes": exception_id, "recorded_at": now}
    _insert(connection, "budget_exception", values)


def _limit(limit: object, currency: str, tokens: int | None, basis: str) -> dict[str, Any]:
    if (limit is None) == (tokens is None):
        raise InvalidRecord("limit", limit, "give an amount of money or a number of tokens, and not both")
    if tokens is not None:
        if isinstance(tokens, bool) or not isinstance(tokens, int) or not 0 < tokens <= 10**18:
            raise InvalidRecord("limit_tokens", tokens, "give a whole number of tokens above 0")
        if basis != "llm":
            raise InvalidRecord("basis", basis, "tool calls have no tokens: give llm")
        return {"limit_micros": None, "currency": None, "limit_tokens": tokens}
    if not (isinstance(currency, str) and len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise InvalidRecord("currency", currency, "give it by its three letters, such as USD or EUR")
    try:
        micros = money.decimal(limit) * 10**6
    except ValueError:
        micros = Decimal(0)
    if not 0 < micros <= _LARGEST * 10**6 or micros != int(micros):
        shown = float(limit) if isinstance(limit, Decimal) else limit
        raise InvalidRecord("limit", shown, "give an amount above 0 with at most six decimals, such as 250 or 0.50")
    return {"limit_micros": int(micros), "currency": currency, "limit_tokens": None}


def _steps(steps: Sequence[int]) -> str:
    for step in steps:
        if isinstance(step, bool) or not isinstance(step, int) or not 0 < step <= 1000:
            raise InvalidRecord("steps", step, "give percentages from 1 to 1000")
    return json.dumps(sorted(set(steps)))


def _hard(percent: int | None) -> int | None:
    if percent is not None and (
        isinstance(percent, bool) or not isinstance(percent, int) or not 100 <= percent <= 1000
    ):
        raise InvalidRecord("hard_percent", percent, "give a percentage from 100 to 1000 of the limit")
    return percent


def _mapping(throttle_to: str | Mapping[str, str] | None) -> str | None:
    """JSON; one model alone takes the place of every other."""
    if throttle_to is None:
        return None
    mapping = {"*": throttle_to} if isinstance(throttle_to, str) else dict(throttle_to)
    if not mapping:
        raise InvalidRecord("throttle_to", {}, "name a model to use instead")
    for pattern, model in mapping.items():
        check_text("throttle_to", pattern)
        check_text("throttle_to", model)
    return json.dumps(mapping, ensure_ascii=False)


def _name(scope: str, key: str, period: str, values: Mapping[str, Any]) -> str:
    what = "" if values["limit_tokens"] is None else " tokens"
    whose = "everything" if scope == "everything" else f"{scope} {key}"
    return f"{whose} per {period}{what}{' all-in' if values['basis'] == 'all-in' else ''}"


def _held(connection: sqlite3.Connection, name: str) -> dict[str, Any]:
    row = connection.execute(
        f"select event, {', '.join(_OF_ROW)} from budget where name = ? order by valid_from desc, id desc limit 1",
        [name],
    ).fetchone()
    if row is None or row[0] == "end":
        known = [one[0] for one in connection.execute("select distinct name from budget order by 1 limit 20")]
        raise LedgerError(f"there is no budget {name!r}: there are {', '.join(known) or 'none yet'}")
    return dict(zip(_OF_ROW, row[1:], strict=True))


def _choose(column: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InvalidRecord(column, value, f"give one of {', '.join(choices)}")


def _text(column: str, value: str | None) -> str | None:
    if value is not None:
        check_text(column, value)
    return value


def _moment(column: str, value: object, now: str) -> str:
    if value is None:
        return now
    try:
        return clock.parse(value)
    except ValueError:
        raise InvalidRecord(column, value, "give a date such as 2026-11-30, or a time") from None


def _insert(connection: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> int:
    sql = f"insert into {table} ({', '.join(values)}) values ({', '.join('?' * len(values))})"
    return connection.execute(sql, list(values.values())).lastrowid or 0
