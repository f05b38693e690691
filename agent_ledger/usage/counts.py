"""What every provider's file shares: reading a count, and holding the parts of an inference to their whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent_ledger.errors import UnknownUsage
from agent_ledger.records import Inference

Body = Mapping[str, Any]

MOST = 10**9  # no provider has a context anywhere near; more is a bug or an id that slipped into a count
_NOTHING: Body = {}


def count(holder: Body, *names: str) -> int | None:
    """The first of `names` that `holder` has a value for, None where it has none.

    Raises UnknownUsage where the value is no whole number from 0 to `MOST`: a guess would become money.
    """
    for name in names:
        value = holder.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_count(value):
            raise UnknownUsage(
                f"{name} is {_shown(value)}: a count is a whole number from 0 to {MOST:,}, so pass the response as the "
                "provider sent it, or record the call with token counts of your own."
            )
        return int(value)
    return None


def _is_count(value: int | float) -> bool:
    if isinstance(value, float) and not (math.isfinite(value) and value.is_integer()):
        return False
    return 0 <= value <= MOST


def section(holder: Body, *names: str) -> Body:
    """The first of `names` that is an object, an empty one where there is none."""
    for name in names:
        value = holder.get(name)
        if isinstance(value, Mapping):
            return value
        if value is not None:
            raise UnknownUsage(f"{name} is {_shown(value)}: an object is expected, so pass the response as it came.")
    return _NOTHING


def objects(holder: Body, *names: str) -> list[Body]:
    """The objects of the first of `names` that is a list, none where there is no list."""
    for name in names:
        value = holder.get(name)
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            return [item for item in value if isinstance(item, Mapping)]
    return []


def text(holder: Body, *names: str) -> str | None:
    """The first of `names` that is text and not blank."""
    for name in names:
        value = holder.get(name)
        if isinstance(value, str) and value.strip():
            return str.__str__(value)  # plain text also of the enums that SDKs dump
    return None


def amount(holder: Body, name: str) -> float | None:
    """A reported cost in dollars. Raises UnknownUsage where it is no finite number from 0."""
    value = holder.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise UnknownUsage(f"{name} is {_shown(value)}: a cost is a number of dollars from 0, so pass it as it came.")
    return float(value)


def model_name(found: str | None, given: str | None) -> str:
    """The model that the body names, else the one the caller gave."""
    name = found or given
    if not name:
        raise UnknownUsage("The response does not name its model: give the model of the request.")
    return name


def units(**amounts: int | None) -> dict[str, int | float] | None:
    """Billed units beside the plain tokens, only those that were used."""
    return {name: number for name, number in amounts.items() if number} or None


def total_note(total: int | None, prompt: int | None, completion: int | None) -> str | None:
    """What to say where the provider's own total is not the sum of its two halves."""
    if total is None or prompt is None or completion is None or total == prompt + completion:
        return None
    return f"the provider's total is {total}, but {prompt} input and {completion} output tokens were reported"


def hour_writes(total: int | None, minutes: int | None, hour: int | None) -> tuple[int | None, int | None, str | None]:
    """Cache writes from their total and their split by lifetime: all, those of one hour, and what to say.

    Writes of unknown lifetime count as those of five minutes, the cheaper and the default. Where the split exceeds
    the total it says nothing, and the total stands (peers.md C10).
    """
    if minutes is None and hour is None:
        return total, None, None
    split = (minutes or 0) + (hour or 0)
    if total is None:
        return split, hour, None
    if split > total:
        return total, None, f"{minutes or 0} cache writes of 5 minutes and {hour or 0} of an hour exceed all {total}"
    if split < total:
        # A half that is missing is not a contradiction, but nobody said how long the rest lives.
        return total, hour, f"the lifetime of {total - split} of {total} cache writes is unknown: taken as 5 minutes"
    return total, hour, None


def closed(inference: Inference, *notes: str | None) -> Inference:
    """`inference` without the parts that exceed their whole; `anomaly` says so, and whatever else `notes` say.

    The whole is what is billed, so it stands; a part that contradicts it is unknown, never clamped.
    """
    said = [note for note in (inference.anomaly, *notes) if note]
    read, written = inference.cache_read_tokens, inference.cache_write_tokens
    if _exceeds((read or 0) + (written or 0), inference.prompt_tokens):
        whole = inference.prompt_tokens
        said.append(f"{read or 0} cache reads and {written or 0} cache writes exceed {whole} input tokens")
        inference = replace(inference, cache_read_tokens=None, cache_write_tokens=None, cache_write_1h_tokens=None)
    if _exceeds(inference.cache_write_1h_tokens or 0, written):
        said.append(f"{inference.cache_write_1h_tokens} cache writes of 1 hour exceed {written} cache writes")
        inference = replace(inference, cache_write_1h_tokens=None)
    if _exceeds(inference.reasoning_tokens or 0, inference.completion_tokens):
        said.append(f"{inference.reasoning_tokens} reasoning tokens exceed {inference.completion_tokens} output tokens")
        inference = replace(inference, reasoning_tokens=None)
    limits = (
        ("input_", inference.prompt_tokens, "input tokens"),
        ("output_", inference.completion_tokens, "output tokens"),
        ("cache_", read, "cache reads"),
    )
    for prefix, limit, name in limits if inference.usage else ():
        parts = {unit: number for unit, number in (inference.usage or {}).items() if unit.startswith(prefix)}
        if _exceeds(sum(parts.values()), limit):
            listed = " and ".join(f"{number} {unit}" for unit, number in parts.items())
            said.append(f"{listed} exceed {limit} {name}")
            kept = {unit: number for unit, number in (inference.usage or {}).items() if unit not in parts}
            inference = replace(inference, usage=kept or None)
    anomaly = "; ".join(said) or None
    return inference if inference.anomaly == anomaly else replace(inference, anomaly=anomaly)


def _exceeds(part: int | float, whole: int | None) -> bool:
    return whole is not None and part > whole


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
