from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import hashlib
import json
import pathlib
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_ledger import Ledger, attribute
from agent_ledger.attribution import note_request
from agent_ledger.capture.tool_call import NOT_GIVEN, Execution, caller, current, measure, report
from agent_ledger.importers import fields

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_the_digest_is_that_of_the_importers_and_the_size_that_of_utf_8(value: Any) -> None:
    compact = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    assert measure(value) == (len(compact.encode("utf-8", "surrogatepass")), fields.digest(value))


def test_the_order_of_keys_is_no_difference() -> None:
    assert measure({"a": 1, "b": 2}) == measure({"b": 2, "a": 1})
    assert measure({"a": 1}) != measure({"a": 2})


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    name: str


class Model:
    """Like a model of pydantic."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        assert mode == "json"
        return {"x": 1}


@pytest.mark.parametrize(
    ("value", "same"),
    [
        (Point(1, "p"), {"x": 1, "name": "p"}), (Model(), {"x": 1}), (Colour.RED, "red"), ((1, 2), [1, 2]),
        ({3, 1, 2}, [1, 2, 3]), (decimal.Decimal("1.50"), "1.50"), (pathlib.PurePosixPath("a/b"), "a/b"),
        (datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "2026-01-02 00:00:00+00:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ([b"abc"], [{"bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}]),
    ],
)  # fmt: skip
def test_what_has_a_usual_form_is_measured_as_that(value: object, same: object) -> None:
    assert measure(value) == (measure(same)[0], fields.digest(same))


@pytest.mark.parametrize("value", [b"\0secret", bytearray(b"\0secret"), memoryview(b"\0secret")])
def test_bytes_stand_for_themselves(value: Any) -> None:
    assert measure(value) == (7, hashlib.sha256(b"\0secret").hexdigest())


class Evil:
    def model_dump(self, **_: Any) -> object:
        raise RuntimeError("no")

    def __getattr__(self, name: str) -> object:
        raise ZeroDivisionError(name)


def test_what_has_no_stable_form_is_not_measured() -> None:
    circle: list[Any] = []
    circle.append(circle)
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    for value in (object(), {"x": object()}, {1: 1, "a": 1}, circle, deep, Evil(), {"a", 1}, Point, Model, NOT_GIVEN):
        assert measure(value) == (None, None), value


def row(ledger: Ledger) -> dict[str, Any]:
    (found,) = ledger.rows("audit")
    return found


def test_a_call_becomes_one_row_however_often_it_ends(ledger: Ledger) -> None:
    execution = Execution(ledger, tool="t", server="s", arguments={"a": 1}, request_id="r", agent_id="a")
    assert not execution.over
    execution.returned({"b": 2})
    execution.failed("KeyError")
    execution.left_open()
    assert execution.over
    found = row(ledger)
    assert (found["tool"], found["server"], found["request_id"], found["agent_id"]) == ("t", "s", "r", "a")
    assert (found["status"], found["error_type"]) == ("ok", None)
    assert (found["arguments_bytes"], found["arguments_digest"]) == measure({"a": 1})
    assert (found["result_bytes"], found["result_digest"]) == measure({"b": 2})
    assert found["duration_ms"] is not None


def test_how_it_ends_may_stay_unknown(ledger: Ledger) -> None:
    Execution(ledger, tool="t").left_open()
    assert [row(ledger)[name] for name in ("status", "error_type", "arguments_bytes", "result_bytes")] == [None] * 4


def test_what_is_reported_is_in_the_row_and_the_last_word_counts(ledger: Ledger) -> None:
    execution = Execution(ledger, tool="t")
    execution.know(resource_id="declared", operation="get")
    with execution:
        report(units=2, unit="page")
        report(resource_id="bucket", units=3, cost_usd=0.5)
    assert current() is None
    execution.returned()
    found = row(ledger)
    assert [found[name] for name in ("resource_id", "operation", "units", "unit", "cost_usd")] == [
        "bucket", "get", 3.0, "page", 0.5,
    ]  # fmt: skip


def test_a_report_outside_of_a_tool_does_nothing() -> None:
    report(units=1, unit="page")


def test_the_inner_call_has_the_report_and_then_the_outer_again(ledger: Ledger) -> None:
    outer, inner = Execution(ledger, tool="outer"), Execution(ledger, tool="inner")
    with outer:
        with inner:
            report(units=1)
        report(units=2)
    inner.returned()
    outer.returned()
    assert {found["tool"]: found["units"] for found in ledger.rows("audit")} == {"inner": 1, "outer": 2}


def test_a_part_of_another_call_makes_no_row_and_reports_to_it(ledger: Ledger) -> None:
    outer = Execution(ledger, tool="t")
    part = Execution(ledger, tool="t", part_of=outer)
    with outer, part:
        report(units=1)
    part.returned("x")
    outer.returned()
    assert row(ledger)["units"] == 1


class Broken:
    def stamp_call(self, **_: Any) -> None:
        raise OSError("full")

    stamp_tool_call = stamp_call

    def unfinished_call(self, _: str) -> None:
        return None


def test_a_ledger_that_fails_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    Execution(Broken(), tool="t").returned()
    assert "could not be recorded" in caplog.text


def test_who_asks_is_the_last_llm_call_or_what_the_runtime_says() -> None:
    assert caller() == (None, None)
    with attribute(agent_id="a"):
        note_request("req_1", None)
        assert caller()[1] == "a"
    with attribute(agent_id="b", request_id="mine"):
        assert caller() == ("mine", "b")
