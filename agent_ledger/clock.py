"""Timestamps (ISO 8601 UTC text with milliseconds and `Z`) and ids that sort by time."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

BEGINNING = "0001-01-01T00:00:00.000Z"
END = "9999-12-31T23:59:59.999Z"

# Crockford's base 32, as in ULID: no letter that reads like a digit.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CANONICAL = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d\.\d{3}Z")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def now() -> str:
    """The present moment as a timestamp."""
    return timestamp(datetime.now(UTC))


def timestamp(moment: datetime) -> str:
    """`moment` as ledger text. A naive datetime counts as UTC; what is finer than a millisecond is cut off."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    moment = moment.astimezone(UTC)
    # strftime does not pad years before 1000 on every platform; isoformat does.
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse(value: object) -> str:
    """Any usual form of a moment as ledger text.

    Takes datetime, date (its midnight), ISO 8601 text (no zone counts as UTC), and Unix seconds as a number.
    Raises ValueError for everything else.
    """
    if isinstance(value, str):
        text = value.strip()
        if not _CANONICAL.fullmatch(text) and not _DATE.match(text):
            raise ValueError(f"{value!r} is not an ISO 8601 time")
        try:
            return timestamp(datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            raise ValueError(f"{value!r} is not an ISO 8601 time") from None
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, date):
        return timestamp(datetime(value.year, value.month, value.day, tzinfo=UTC))
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return timestamp(datetime.fromtimestamp(value, UTC))
        except (OverflowError, OSError, ValueError):
            raise ValueError(f"{value!r} is not a Unix time in seconds") from None
    raise ValueError(f"{value!r} is not a time")


def local_midnight(day: date, zone: ZoneInfo) -> str:
    """The moment at which `day` begins in `zone`.

    Where the clock shows midnight twice it is the first; where it jumps from midnight on, the moment of the jump.
    Consecutive days share their boundary, so days always add up to the period.
    """
    return timestamp(datetime(day.year, day.month, day.day, tzinfo=zone))


def sortable_id() -> str:
    """A 26-character id: 48 bits of milliseconds, then 80 random bits. Ids sort by the time they were made."""
    value = int(time.time() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def millisecond_after(ts: str) -> str:
    """The next moment that a timestamp can name."""
    return timestamp(datetime.fromisoformat(ts) + timedelta(milliseconds=1))
