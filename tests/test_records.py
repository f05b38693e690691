from __future__ import annotations

import dataclasses
import sqlite3
from typing import Any

import pytest
from support import raw

from agent_ledger import Assignment, Call, Inference, Ledger, PriceRevision, ToolCall
from agent_ledger.records import Refused

KINDS: list[type[Any]] = [Inference, Call, ToolCall, PriceRevision, Assignment, Refused]


@pytest.mark.parametrize(
    ("kind", "table", "others"),
    [
        (Call, "ledger", {"id"}),
        (ToolCall, "audit", {"id"}),
        (PriceRevision, "price_revision", set()),
        (Assignment, "agent_assignment", {"id", "recorded_at"}),
    ],
)
def test_field_names_are_column_names(ledger: Ledger, kind: type[Any], table: str, others: set[str]) -> None:
    with raw(ledger) as connection:
        columns = {row[1] for row in connection.execute(f"pragma table_info({table})")}
    assert {field.name for field in dataclasses.fields(kind)} == columns - others


@pytest.mark.parametrize("kind", KINDS)
def test_records_are_frozen_and_have_slots(kind: type[Any]) -> None:
    required = [field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING]
    record = kind(**dict.fromkeys(required, "x"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.__setattr__(required[0], "y")
    assert not hasattr(record, "__dict__")


def test_a_call_is_an_inference_with_a_name() -> None:
    call = Call(agent_id="a", model="m", prompt_tokens=1, completion_tokens=None)
    assert isinstance(call, Inference)
    assert (call.part, call.evidence, call.request_id, call.ts) == (0, "response", None, None)


def test_the_defaults_fit_the_tables(ledger: Ledger) -> None:
    ledger.record_calls([Call(agent_id="a", model="m", prompt_tokens=1, completion_tokens=None)])
    ledger.record_tool_calls([ToolCall(tool="t")])
    with raw(ledger) as connection:
        connection.row_factory = sqlite3.Row
        assert connection.execute("select count(*) from ledger join audit").fetchone()[0] == 1
