"""What the cells of a bill's line stand for: money, times and tags, exact or refused."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import Any

from agent_ledger import clock, money
from agent_ledger.errors import InvalidRecord
from agent_ledger.importers import fields
from agent_ledger.records import Charge

_CURRENCY = re.compile(r"[A-Z]{3}")
_LARGEST = Decimal(2**63 - 1) / money.PICOS_PER_DOLLAR
_TOO_LARGE = Decimal("1e99")
_DIGITS = 40  # on either side of the point; a bill has a dozen, and 1e999999999 would fill the memory


def squeezed(name: str) -> str:
    """A column's name without what its spellings differ in: lineItem/UsageAmount and line_item_usage_amount agree."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def number(name: str, value: Any) -> Decimal | None:
    """An exact number; None where the cell is empty. A float is the shortest number that prints the same."""
    if value is None or value == "":
        return None
    try:
        found = money.decimal(value)
    except ValueError:
        found = _TOO_LARGE
    if not -_DIGITS < found.adjusted() < _DIGITS or (type(value) is str and "_" in value):
        raise InvalidRecord(name, value, "give a number such as 1234.56 or 4.4E-7")
    return found


def cost(name: str, value: Any) -> Decimal:
    """What a line costs, exactly as billed."""
    found = number(name, value)
    if found is None:
        raise InvalidRecord(name, value, "a line without a cost can't be counted; ask for the bill again")
    return found


def currency(name: str, value: str | None) -> str:
    """An ISO 4217 code."""
    if not value or not _CURRENCY.fullmatch(value):
        raise InvalidRecord(name, value, "give a currency such as USD")
    return value


def required(name: str, value: str | None) -> str:
    """Text that has to be there."""
    if not value:
        raise InvalidRecord(name, value, "a line can't be placed without it; ask for the bill again")
    return value


@lru_cache(maxsize=2**14)
def moment(name: str, value: Any) -> str:
    """A ledger timestamp. Times without a zone are UTC, as in all bills."""
    return fields.moment(value, name, "a line can't be placed without it; ask for the bill again")


@lru_cache(maxsize=2**14)
def period(start: str, end: str) -> str:
    """The end of a half-open period, which is not empty: a line for one moment gets the millisecond after it."""
    if end < start:
        raise InvalidRecord("the end of the period", end, f"it is before the start, {start}")
    return clock.millisecond_after(start) if end == start else end


def tags(name: str, value: Any) -> dict[str, str]:
    """The keys and values of a map: JSON text, a dict, or a list of pairs. Empty values are left out."""
    if not value:
        return {}
    if isinstance(value, str):
        return _parsed(name, value)
    return _texts(dict(value))


@lru_cache(maxsize=2**12)
def _parsed(name: str, value: str) -> dict[str, str]:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = value
    if not isinstance(found, dict | None):
        raise InvalidRecord(name, value, 'give JSON such as {"team": "risk"}')
    return _texts(found or {})


def _texts(found: dict[str, Any]) -> dict[str, str]:
    return {
        str(key): value if isinstance(value, str) else json.dumps(value, default=str)
        for key, value in found.items()
        if value not in (None, "")
    }


def content_id(row: Sequence[Any]) -> str:
    """An id for a line that has none: it follows from all of its cells."""
    return f"sha256:{sha256(chr(31).join(map(str, row)).encode()).hexdigest()[:32]}"


def checked(charge: Charge) -> Charge:
    """The charge, unless the ledger can't hold its cost."""
    if charge.currency == "USD" and abs(charge.cost) > _LARGEST:
        raise InvalidRecord("cost", str(charge.cost), f"one line holds up to {_LARGEST:,.0f} dollars")
    return charge
