"""From fields to rows: the fast way and the careful way must say the same."""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from support import NOON, call, tool_call

from agent_ledger import Call, InvalidRecord, Ledger, ToolCall
from agent_ledger.recording import CALLS, TOOL_CALLS, Table, fields_of


def named(table: Table, fields: dict[str, Any]) -> dict[str, Any]:
    columns = re.search(r"\((.*?)\)", table.insert)
    assert columns
    return dict(zip(columns[1].split(", "), table.row(fields), strict=True))


def test_what_is_not_given_has_its_default() -> None:
    row = named(CALLS, {"agent_id": "a", "model": "m", "prompt_tokens": 1, "completion_tokens": 2})
    assert (row["part"], row["evidence"], row["customer_id"]) == (0, "response", None)
    assert len(row["request_id"]) == 26
    assert row["ts"][:4].isdigit()


def test_a_tool_call_gets_an_id_of_its_own_but_no_request() -> None:
    row = named(TOOL_CALLS, {"tool": "t"})
    assert row["request_id"] is None
    assert len(row["tool_call_id"]) == 26


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        ("2026-01-31", "2026-01-31T00:00:00.000Z"),
        ("2026-01-31T10:00:00+0100", "2026-01-31T09:00:00.000Z"),  # as long as ledger text
        ("2026-01-31T10:00:00.1234", "2026-01-31T10:00:00.123Z"),  # too
        ("2026-01-31T10:00:00+01:00", "2026-01-31T09:00:00.000Z"),
        (datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31T00:00:00.000Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (NOON, NOON),
    ],
)
def test_times_become_ledger_text(ts: object, expected: str) -> None:
    assert named(CALLS, call(ts=ts))["ts"] == expected


@pytest.mark.parametrize("ts", ["yesterday", "", "2026-02-30", True, float("nan"), [], b"2026-01-31"])
def test_what_is_no_time_is_refused(ts: object) -> None:
    with pytest.raises(InvalidRecord) as error:
        CALLS.row(call(ts=ts))
    assert error.value.field == "ts"


@pytest.mark.parametrize("missing", ["agent_id", "model", "prompt_tokens", "completion_tokens"])
@pytest.mark.parametrize("others", [{}, {"ts": NOON}, {"ts": NOON, "request_id": "r", "provider": "p"}])
def test_what_is_required_must_be_given(ledger: Ledger, missing: str, others: dict[str, Any]) -> None:
    """Unknown token counts must be said to be unknown (None); a forgotten argument is an error, however many others."""
    fields = {"agent_id": "a", "model": "m", "prompt_tokens": 1, "completion_tokens": 2, **others}
    del fields[missing]
    for record in (lambda: ledger.record_call(**fields), lambda: ledger.record_calls([fields])):
        with pytest.raises(InvalidRecord, match="it is required") as error:
            record()
        assert error.value.field == missing


@pytest.mark.parametrize("table", [CALLS, TOOL_CALLS])
def test_unknown_fields_are_refused_with_the_known_ones(table: Table) -> None:
    fields = call() if table is CALLS else tool_call()
    with pytest.raises(InvalidRecord, match="there is no such field; there are ") as error:
        table.row({**fields, "cost": 1})
    assert error.value.field == "cost"


def test_none_is_an_answer_for_counts() -> None:
    row = named(CALLS, call(prompt_tokens=None, completion_tokens=None))
    assert (row["prompt_tokens"], row["completion_tokens"]) == (None, None)


def test_units_are_json_with_sorted_names() -> None:
    assert named(CALLS, call(usage={"b": 1, "a": 0.5}))["usage"] == '{"a": 0.5, "b": 1}'
    assert named(CALLS, call(usage=MappingProxyType({"a": 1})))["usage"] == '{"a": 1}'
    assert named(CALLS, call(usage=None))["usage"] is None


def test_the_fields_are_not_changed() -> None:
    fields = call(ts=0, usage={"a": 1})
    before = dict(fields)
    CALLS.row(fields)
    assert fields == before


def test_a_refusal_names_the_field_or_passes_the_reason_on() -> None:
    error = CALLS.refusal(call(prompt_tokens=-1), sqlite3.IntegrityError("CHECK"))
    assert isinstance(error, InvalidRecord)
    assert str(CALLS.refusal(call(), sqlite3.IntegrityError("odd"))) == "the record was refused: odd"


def test_fields_of_records_and_mappings() -> None:
    assert fields_of(ToolCall(tool="t"))["tool"] == "t"
    record = Call(agent_id="a", model="m", prompt_tokens=1, completion_tokens=2, customer_id="c")
    assert CALLS.row({**fields_of(record), "request_id": "r", "ts": NOON}) == CALLS.row(
        {
            "agent_id": "a", "model": "m", "prompt_tokens": 1, "completion_tokens": 2,
            "customer_id": "c", "request_id": "r", "ts": NOON,
        }
    )  # fmt: skip
    mapping = {"tool": "t"}
    assert fields_of(mapping) is mapping
