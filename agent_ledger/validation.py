"""What may enter the ledger, and the sentence that says why something may not.

The tables' own constraints refuse bad rows too; this says which field is wrong and what to do about it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from agent_ledger.errors import InvalidRecord
from agent_ledger.records import Call, ToolCall

LARGEST_COUNT = 1_000_000_000
_LARGEST = {
    "web_search_requests": 10**5,
    "reported_cost_usd": 10**6,
    "cost_usd": 10**9,
    "units": 10**18,
    "arguments_bytes": 10**15,
    "result_bytes": 10**15,
}
EVIDENCE = ("response", "stream", "partial", "log", "span", "header", "manual")

_COUNTS = frozenset(
    (
        "prompt_tokens",
        "completion_tokens",
        "part",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "reasoning_tokens",
        "web_search_requests",
        "tier_tokens",
        "duration_ms",
        "arguments_bytes",
        "result_bytes",
    )
)
_AMOUNTS = frozenset(("reported_cost_usd", "units", "cost_usd"))
_FIELDS: dict[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in dataclasses.fields(kind)) for kind in (Call, ToolCall)
}
_REQUIRED: dict[type, frozenset[str]] = {
    Call: frozenset(("agent_id", "model", "request_id", "ts", "evidence", "part")),
    ToolCall: frozenset(("tool", "ts")),
}
_WHOLES = {
    "cache_write_1h_tokens": "cache_write_tokens",
    "cache_read_tokens": "prompt_tokens",
    "cache_write_tokens": "prompt_tokens",
    "reasoning_tokens": "completion_tokens",
}


def is_count_field(name: str) -> bool:
    """Does the column hold a whole number?"""
    return name in _COUNTS


def is_amount_field(name: str) -> bool:
    """Does the column hold a number with decimals?"""
    return name in _AMOUNTS


def check(fact: Call | ToolCall) -> None:
    """Raises InvalidRecord for what the ledger would refuse about `fact`."""
    required = _REQUIRED[type(fact)]
    for name in _FIELDS[type(fact)]:
        value = getattr(fact, name)
        if value is not None or name in required:
            _check_field(name, value)
    if isinstance(fact, Call):
        _check_parts(fact)
        _check_usage(fact.usage)
        if fact.evidence not in EVIDENCE:
            raise InvalidRecord("evidence", fact.evidence, f"give one of {', '.join(EVIDENCE)}")


def _check_field(name: str, value: object) -> None:
    if name in _COUNTS:
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidRecord(name, value, "give a whole number")
        _check_range(name, value)
    elif name in _AMOUNTS:
        if not isinstance(value, int | float) or isinstance(value, bool) or not -math.inf < value < math.inf:
            raise InvalidRecord(name, value, "give a finite number")
        _check_range(name, value)
    elif name != "usage":
        check_text(name, value)


def _check_range(name: str, value: float) -> None:
    most = _LARGEST.get(name, LARGEST_COUNT)
    if not 0 <= value <= most:
        raise InvalidRecord(name, value, f"give a number from 0 to {most:,}")


def check_text(name: str, value: object) -> None:
    """Raises InvalidRecord where `value` is not text that can be stored and read again."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidRecord(name, value, "give text that is not empty")
    if "\0" in value:
        raise InvalidRecord(name, value, "remove the NUL characters")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidRecord(name, value, "give valid Unicode text") from None


def _check_parts(call: Call) -> None:
    for name, whole in _WHOLES.items():
        part, total = getattr(call, name), getattr(call, whole)
        if part and part > (total or 0):
            known = "not known" if total is None else total
            raise InvalidRecord(name, part, f"it is a part of {whole}, which is {known}")
    if call.prompt_tokens is not None:
        cached = (call.cache_read_tokens or 0) + (call.cache_write_tokens or 0)
        if cached > call.prompt_tokens:
            remedy = f"with cache_write_tokens it is more than prompt_tokens, which is {call.prompt_tokens}"
            raise InvalidRecord("cache_read_tokens", call.cache_read_tokens, remedy)


def _check_usage(usage: object) -> None:
    if usage is None:
        return
    if not isinstance(usage, Mapping):
        raise InvalidRecord("usage", usage, "give an object of unit names and numbers")
    for unit, count in usage.items():
        check_text("usage", unit)
        if isinstance(count, bool) or not isinstance(count, int | float) or not math.isfinite(count) or count < 0:
            raise InvalidRecord(f"usage.{unit}", count, "give a finite number that is not negative")
        if count > LARGEST_COUNT:
            raise InvalidRecord(f"usage.{unit}", count, f"give a number from 0 to {LARGEST_COUNT:,}")
