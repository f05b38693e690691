"""One tool call that is under way: from the moment it starts until it has become an audit row.

Plain functions and MCP servers and clients tell what happens to it; nothing here ever raises into the tool. Arguments
and results are measured here, and nothing but their sizes and digests goes any further.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import hashlib
import json
import logging
import pathlib
import time
import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final, Self

from agent_ledger import attribution, clock
from agent_ledger.capture.exchange import Stamps

_log = logging.getLogger("agent_ledger")

NOT_GIVEN: Final[Any] = type("NotGiven", (), {"__repr__": lambda _: "not given"})()
TOOL_ERROR: Final = "tool_error"  # the tool says so itself
UNKNOWN_TOOL: Final = "unknown_tool"
INVALID_PARAMS: Final = "invalid_params"

_LONGEST_MS = 10**9
_AS_TEXT = (datetime.date, datetime.time, decimal.Decimal, uuid.UUID, pathlib.PurePath)
_current: ContextVar[Execution | None] = ContextVar("agent_ledger_tool_call", default=None)


def report(
    *,
    resource_id: str | None = None,
    operation: str | None = None,
    units: float | None = None,
    unit: str | None = None,
    cost_usd: float | None = None,
) -> None:
    """Say, inside a tool, what this call of it touched and used: known only once the work is done.

        report(units=len(pages), unit="page", cost_usd=0.0015 * len(pages))

    It wins over what was declared for the tool; said again, the last word counts. Outside of a tool call that is being
    recorded it does nothing. Never raises.
    """
    execution = _current.get()
    if execution:
        execution.know(resource_id=resource_id, operation=operation, units=units, unit=unit, cost_usd=cost_usd)


def current() -> Execution | None:
    """The tool call that is being recorded here and now."""
    return _current.get()


def caller() -> tuple[str | None, str | None]:
    """The request id of the LLM call that asks for a tool here and now, and the agent; None where that is not known."""
    who = attribution.caller()
    return who.request_id or attribution.last_request_id(), who.agent_id


class Execution:
    """One tool call. Made when it starts; then exactly one of `returned`, `failed` and `left_open`.

    Entered (`with execution:`), as often as the work is taken up again, it is the one that `report` speaks of.
    `request` is the MCP request that it answers or makes; None: it is no MCP call. `part_of` another one it makes no
    row, and what is reported belongs to the other.
    """

    def __init__(
        self,
        stamps: Stamps,
        *,
        tool: str,
        server: str | None = None,
        arguments: Any = NOT_GIVEN,
        request_id: str | None = None,
        agent_id: str | None = None,
        tool_call_id: str | None = None,
        request: object = None,
        part_of: Execution | None = None,
    ) -> None:
        self.stamps = stamps
        self.tool = tool
        self.server = server
        self.request = request
        self._fields: dict[str, Any] = {"request_id": request_id, "agent_id": agent_id, "tool_call_id": tool_call_id}
        self._known: dict[str, Any] = {}
        self._over = False
        self._outer: Execution | None = None
        if part_of:
            self._known, self._over = part_of._known, True
            return
        self._fields["ts"] = clock.now()
        self._fields["arguments_bytes"], self._fields["arguments_digest"] = measure(arguments)  # it may change them
        self._start = time.perf_counter()

    def __enter__(self) -> Self:
        self._outer = _current.get()
        _current.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        # Not by a token: it is bound to a context, and a generator may be closed in another one.
        _current.set(self._outer)

    @property
    def over(self) -> bool:
        """Has it ended?"""
        return self._over

    def know(self, **fields: Any) -> None:
        """Columns of the row that are known now; None says nothing."""
        self._known.update({name: value for name, value in fields.items() if value is not None})

    def returned(self, result: Any = NOT_GIVEN) -> None:
        """It did its work."""
        self._end("ok", None, result)

    def failed(self, error_type: str, result: Any = NOT_GIVEN) -> None:
        """It did not: `error_type` is one of the three above or the name of an exception's class."""
        self._end("error", error_type, result)

    def left_open(self) -> None:
        """How it ends is not known here: it goes on elsewhere, or asked for something first."""
        self._end(None, None, NOT_GIVEN)

    def _end(self, status: str | None, error_type: str | None, result: Any) -> None:
        if self._over:
            return
        self._over = True
        duration = time.perf_counter() - self._start
        try:
            size, digest = measure(result)
            self.stamps.stamp_tool_call(
                **self._fields,
                **self._known,
                tool=self.tool,
                server=self.server,
                duration_ms=min(round(duration * 1000), _LONGEST_MS),
                status=status,
                error_type=error_type,
                result_bytes=size,
                result_digest=digest,
            )
        except Exception:
            _log.warning("A tool call could not be recorded", exc_info=True)


def measure(value: Any) -> tuple[int | None, str | None]:
    """How many bytes `value` has as JSON (without spaces, in UTF-8), and the SHA-256 (hex) of its canonical JSON.

    The digest is that of `importers.fields.digest`, so that the same arguments have the same digest wherever they are
    seen. Bytes stand for themselves. Dataclasses, pydantic models, times, paths and the like count as the JSON that is
    usual for them; a value with anything else in it has no stable form: (None, None). Never raises.
    """
    if value is NOT_GIVEN:
        return None, None
    try:
        if isinstance(value, bytes | bytearray | memoryview):
            return memoryview(value).nbytes, hashlib.sha256(value).hexdigest()
        canonical = _CANONICAL.encode(value)
        # Only JSON that escapes something has another size in UTF-8.
        text = canonical if "\\u" not in canonical else _COMPACT.encode(value)
        return len(text.encode("utf-8", "surrogatepass")), hashlib.sha256(canonical.encode("ascii")).hexdigest()
    except Exception:  # whatever somebody else's object does when it is looked at
        return None, None


def _plain(value: Any) -> Any:
    """What JSON has no form for, as something that it has one for."""
    if isinstance(value, bytes | bytearray):
        return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(value, _AS_TEXT):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump(mode="json")
    raise TypeError(type(value).__name__)


_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_plain)
_COMPACT: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_plain, ensure_ascii=False)
