"""OTLP/JSON: one export of traces, decoded to spans.

Source: opentelemetry-proto 1.x, `trace.proto`, and its JSON encoding (https://opentelemetry.io/docs/specs/otlp).
Read as well: what protobuf's own JSON makes of it (ids in base64, names of enums, names with underscores), and Tempo's
`batches`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agent_ledger.importers import fields, spans
from agent_ledger.importers.spans import Span

_OTHER_SIGNALS = ("resourceMetrics", "resourceLogs", "resource_metrics", "resource_logs", "resourceProfiles")
_HEX = re.compile(r"[0-9a-fA-F]{16}|[0-9a-fA-F]{32}")
_KINDS = ("internal", "internal", "server", "client", "producer", "consumer")
_STATUS = ("unset", "ok", "error")


class Exported(NamedTuple):
    """A span of an export, its parent's id, and what its resource says in `agent_ledger.…` attributes."""

    span: Span
    parent_id: str | None
    stated: dict[str, str]


class _ShapeError(Exception):
    """Something that is not as OTLP has it; the message is a sentence."""


def exported(export: Mapping[str, Any]) -> Iterator[Exported | str]:
    """The spans of an export; a sentence for each that can't be read. Exports of metrics and logs have none."""
    try:
        resources = _listed(export, "resourceSpans", "resource_spans", "batches")
        if resources is None and not any(name in export for name in _OTHER_SIGNALS):
            raise _ShapeError("there are no resourceSpans: this is no OTLP/JSON export of traces.")
        for resource in resources or ():
            yield from _of_resource(resource)
    except _ShapeError as error:
        yield str(error)


def _of_resource(resource: Mapping[str, Any]) -> Iterator[Exported | str]:
    try:
        stated = spans.stated(_attributes(_object(resource, "resource").get("attributes")))
        for scope in _listed(resource, "scopeSpans", "scope_spans", "instrumentationLibrarySpans") or ():
            name = _object(scope, "scope", "instrumentationLibrary").get("name")
            for found in _listed(scope, "spans") or ():
                yield _exported(found, name if isinstance(name, str) else "", stated)
    except _ShapeError as error:
        yield str(error)
    except RecursionError:
        yield "the attributes of a resource are nested too deeply."


def _exported(found: Mapping[str, Any], scope: str, stated: dict[str, str]) -> Exported | str:
    try:
        return Exported(_span(found, scope), _id(found, "parentSpanId", "parent_span_id"), stated)
    except _ShapeError as error:
        return str(error)
    except RecursionError:
        return "a span is nested too deeply."


def _span(found: Mapping[str, Any], scope: str) -> Span:
    trace_id, span_id = _id(found, "traceId", "trace_id"), _id(found, "spanId", "span_id")
    if trace_id is None or span_id is None:
        raise _ShapeError("a span has no traceId or no spanId.")
    name = found.get("name")
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        name=name if isinstance(name, str) else "",
        attributes=_attributes(found.get("attributes")),
        kind=_enum(found.get("kind"), "SPAN_KIND_", _KINDS),
        scope=scope,
        status=_enum(_object(found, "status").get("code"), "STATUS_CODE_", _STATUS),
        start_ns=_nanoseconds(found, "startTimeUnixNano", "start_time_unix_nano"),
        end_ns=_nanoseconds(found, "endTimeUnixNano", "end_time_unix_nano"),
    )


def _listed(holder: Mapping[str, Any], *names: str) -> list[Mapping[str, Any]] | None:
    for name in names:
        value = holder.get(name)
        if value is not None:
            if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
                raise _ShapeError(f"{name} is {fields.shown(value)}, not a list of objects.")
            return value
    return None


def _object(holder: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        value = holder.get(name)
        if value is not None:
            if not isinstance(value, dict):
                raise _ShapeError(f"{name} is {fields.shown(value)}, not an object.")
            return value
    return {}


def _id(holder: Mapping[str, Any], *names: str) -> str | None:
    """An id as hex. Protobuf's own JSON has base64; an id of zeros is none."""
    value = next((holder[name] for name in names if holder.get(name)), None)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _ShapeError(f"{names[0]} is {fields.shown(value)}, not text.")
    if not _HEX.fullmatch(value):
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) in (8, 16):
            value = raw.hex()
    return value.lower() if value.strip("0") else None


def _enum(value: object, prefix: str, names: Sequence[str]) -> str:
    if isinstance(value, str) and value.startswith(prefix):
        name = value.removeprefix(prefix).lower()
        return name if name in names else names[0]
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    return names[number] if isinstance(number, int) and 0 <= number < len(names) else names[0]


def _nanoseconds(holder: Mapping[str, Any], *names: str) -> int | None:
    value = next((holder[name] for name in names if holder.get(name)), None)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        return int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63):
        return value
    raise _ShapeError(f"{names[0]} is {fields.shown(value)}, not nanoseconds since 1970.")


def _attributes(found: object) -> dict[str, Any]:
    """Attributes as a plain mapping: OTLP has a list of keys and typed values."""
    if found is None:
        return {}
    if isinstance(found, dict):
        return found
    if not isinstance(found, list):
        raise _ShapeError(f"attributes is {fields.shown(found)}, not a list of keys and values.")
    said = {}
    for one in found:
        if not isinstance(one, dict) or not isinstance(one.get("key"), str):
            raise _ShapeError(f"an attribute is {fields.shown(one)}, not a key and a value.")
        said[one["key"]] = _value(one.get("value"))
    return said


def _value(found: object) -> Any:
    if not isinstance(found, dict):
        return found
    for kind, value in found.items():
        match kind.lower().replace("_", ""):
            case "intvalue":
                return int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value) else value
            case "arrayvalue":
                listed = value.get("values") if isinstance(value, dict) else None
                return [_value(one) for one in listed] if isinstance(listed, list) else []
            case "kvlistvalue":
                return _attributes(value.get("values")) if isinstance(value, dict) else {}
            case "stringvalue" | "boolvalue" | "doublevalue" | "bytesvalue":
                return value
    return None
