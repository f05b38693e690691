from __future__ import annotations

import base64

import pytest

from agent_ledger.importers.otlp_json import exported
from agent_ledger.importers.spans import Span

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
FOUND = {"traceId": TRACE, "spanId": SPAN, "name": "chat m", "kind": 3, "status": {"code": 2}}


def export(*spans, resource=None, scope=None):
    return {"resourceSpans": [{"resource": resource or {}, "scopeSpans": [{"scope": scope or {}, "spans": [*spans]}]}]}


def one(**changes):
    [found] = exported(export({**FOUND, **changes}))
    return found


def test_a_span_as_otlp_has_it():
    found = one(
        parentSpanId=PARENT,
        startTimeUnixNano="1795466157734570148",
        endTimeUnixNano=1795466157783732879,
        attributes=[
            {"key": "text", "value": {"stringValue": "x"}},
            {"key": "count", "value": {"intValue": "21023"}},
            {"key": "plain", "value": {"intValue": 7}},
            {"key": "flag", "value": {"boolValue": True}},
            {"key": "number", "value": {"doubleValue": 0.5}},
            {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "stop"}]}}},
            {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": "1"}}]}}},
            {"key": "empty", "value": {}},
            {"key": "none", "value": {"arrayValue": {}}},
        ],
    )
    assert found.parent_id == PARENT
    assert found.span == Span(
        trace_id=TRACE,
        span_id=SPAN,
        name="chat m",
        attributes={
            "text": "x", "count": 21023, "plain": 7, "flag": True, "number": 0.5, "list": ["stop"], "map": {"k": 1},
            "empty": None, "none": [],
        },
        kind="client",
        status="error",
        start_ns=1795466157734570148,
        end_ns=1795466157783732879,
    )  # fmt: skip


def test_what_protobuf_makes_of_it():
    ids = {name: base64.b64encode(bytes.fromhex(value)).decode() for name, value in (("t", TRACE), ("s", SPAN))}
    said = {
        "trace_id": ids["t"], "span_id": ids["s"], "start_time_unix_nano": "5", "kind": "SPAN_KIND_SERVER",
        "status": {"code": "STATUS_CODE_OK"}, "attributes": [{"key": "n", "value": {"int_value": "3"}}],
    }  # fmt: skip
    [found] = exported({"resource_spans": [{"scope_spans": [{"scope": {"name": "s"}, "spans": [said]}]}]})
    assert (found.span.trace_id, found.span.span_id, found.span.start_ns) == (TRACE, SPAN, 5)
    assert (found.span.kind, found.span.status, found.span.scope) == ("server", "ok", "s")
    assert found.span.attributes == {"n": 3}


@pytest.mark.parametrize("parent", ["", None, "0000000000000000", "AAAAAAAAAAA="])
def test_no_parent(parent):
    assert one(parentSpanId=parent).parent_id is None


def test_ids_of_other_forms_are_ids_too():
    assert one(spanId=SPAN.upper()).span.span_id == SPAN
    assert one(spanId="span-1").span.span_id == "span-1"


def test_the_resource_may_say_whose_it_is():
    said = {"attributes": [{"key": "agent_ledger.agent_id", "value": {"stringValue": "a"}},
                           {"key": "service.name", "value": {"stringValue": "s"}}]}  # fmt: skip
    [found] = exported(export(FOUND, resource=said))
    assert found.stated == {"agent_id": "a"}


@pytest.mark.parametrize("kind", [None, 99, "SPAN_KIND_ODD", [], "x", -1])
def test_unknown_enums(kind):
    assert one(kind=kind, status={"code": kind}).span.kind == "internal"


def test_other_signals_have_no_spans():
    assert list(exported({"resourceMetrics": []})) == []
    assert list(exported({"resourceLogs": [{"resource": {}}]})) == []
    assert list(exported({"resourceSpans": [{"scopeSpans": [{}]}]})) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"traceId": ""}, "a span has no traceId or no spanId."),
        ({"spanId": 7}, "spanId is 7, not text."),
        ({"startTimeUnixNano": "soon"}, "startTimeUnixNano is 'soon', not nanoseconds since 1970."),
        ({"endTimeUnixNano": 2.5}, "endTimeUnixNano is 2.5, not nanoseconds since 1970."),
        ({"attributes": "x"}, "attributes is 'x', not a list of keys and values."),
        ({"attributes": [{"value": 1}]}, "an attribute is {'value': 1}, not a key and a value."),
        ({"status": 2}, "status is 2, not an object."),
    ],
)
def test_a_damaged_span_costs_itself_only(changes, said):
    assert [found if isinstance(found, str) else "good" for found in exported(export({**FOUND, **changes}, FOUND))] == [
        said,
        "good",
    ]


@pytest.mark.parametrize(
    "damaged", [{}, {"a": 1}, {"resourceSpans": 3}, {"resourceSpans": ["x"]}, {"resourceSpans": [{"scopeSpans": {}}]}]
)
def test_a_damaged_export(damaged):
    [said] = exported(damaged)
    assert isinstance(said, str)
    assert said.endswith(".")
