"""text/event-stream, as the HTML standard defines it (9.2.6), as far as LLM providers use it."""

from __future__ import annotations

import json
import re
from typing import Any

from agent_ledger.errors import UnknownUsage

# Not str.splitlines: it also breaks at U+2028 and others, which may stand inside a JSON string.
_LINE_END = re.compile(r"\r\n|\n|\r")


def sse_events(data: bytes) -> list[dict[str, Any]]:
    """The JSON objects that a recorded event stream carries, in order; comments and `[DONE]` carry none.

    The last event may lack its closing blank line, and where the connection broke inside it, it is left out: what
    came before still counts. Raises UnknownUsage for any other event that is not a JSON object.
    """
    lines = _LINE_END.split(data.decode("utf-8", errors="replace").removeprefix("\ufeff"))
    events: list[dict[str, Any]] = []
    pending: list[str] = []
    for line in lines:
        if not line:
            _add(events, "\n".join(pending))
            pending = []
            continue
        field, _, value = line.partition(":")
        if field == "data":
            pending.append(value.removeprefix(" "))
    rest = "\n".join(pending)
    if _is_json(rest):
        _add(events, rest)
    return events


def _add(events: list[dict[str, Any]], data: str) -> None:
    if not data.strip() or data.strip() == "[DONE]":
        return
    number = len(events) + 1
    try:
        event = json.loads(data)
    except ValueError as error:
        raise UnknownUsage(
            f"Event {number} of the stream is not JSON ({error}): pass the bytes as the provider sent them, "
            "decompressed and undivided."
        ) from None
    if not isinstance(event, dict):
        raise UnknownUsage(f"Event {number} of the stream is not a JSON object: pass a stream of an LLM provider.")
    events.append(event)


def _is_json(data: str) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True
