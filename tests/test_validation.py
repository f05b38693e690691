from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

import pytest
from support import NOON, raw

from agent_ledger import Call, InvalidRecord, Ledger, ToolCall
from agent_ledger.validation import EVIDENCE, LARGEST_COUNT, check, is_amount_field, is_count_field

CALL = Call(agent_id="a", request_id="r", model="m", prompt_tokens=100, completion_tokens=10, ts=NOON)
TOOL = ToolCall(tool="t", tool_call_id="tc", ts=NOON)

GOOD_CALLS: list[dict[str, Any]] = [
    {}, {"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": LARGEST_COUNT}, {"prompt_tokens": None},
    {"cache_read_tokens": 60, "cache_write_tokens": 40, "cache_write_1h_tokens": 40}, {"reasoning_tokens": 10},
    {"web_search_requests": 100_000}, {"reported_cost_usd": 0}, {"reported_cost_usd": 1_000_000.0}, {"tier_tokens": 0},
    {"usage": {}}, {"usage": {"u": 0.5, "v": 3}}, {"customer_id": "Zoë 🦉 'quoted' \"x\""}, {"part": 3},
    *({"evidence": evidence} for evidence in EVIDENCE),
]  # fmt: skip
BAD_CALLS: list[tuple[dict[str, Any], str]] = [
    ({"prompt_tokens": -1}, "prompt_tokens"), ({"prompt_tokens": LARGEST_COUNT + 1}, "prompt_tokens"),
    ({"prompt_tokens": 1.0}, "prompt_tokens"), ({"prompt_tokens": True}, "prompt_tokens"),
    ({"prompt_tokens": "12"}, "prompt_tokens"), ({"prompt_tokens": 2**70}, "prompt_tokens"),
    ({"prompt_tokens": 10**15}, "prompt_tokens"), ({"completion_tokens": float("nan")}, "completion_tokens"),
    ({"completion_tokens": -5}, "completion_tokens"), ({"part": -1}, "part"), ({"part": None}, "part"),
    ({"cache_read_tokens": -1}, "cache_read_tokens"), ({"cache_read_tokens": 101}, "cache_read_tokens"),
    ({"cache_write_tokens": 101}, "cache_write_tokens"),
    ({"cache_write_tokens": 41, "cache_read_tokens": 60}, "cache_read_tokens"),
    ({"cache_write_tokens": 1, "cache_write_1h_tokens": 2}, "cache_write_1h_tokens"),
    ({"cache_write_1h_tokens": 2}, "cache_write_1h_tokens"),
    ({"prompt_tokens": None, "cache_read_tokens": 1}, "cache_read_tokens"),
    ({"reasoning_tokens": 11}, "reasoning_tokens"), ({"web_search_requests": 100_001}, "web_search_requests"),
    ({"web_search_requests": -1}, "web_search_requests"), ({"tier_tokens": -1}, "tier_tokens"),
    ({"reported_cost_usd": -0.1}, "reported_cost_usd"), ({"reported_cost_usd": float("nan")}, "reported_cost_usd"),
    ({"reported_cost_usd": float("inf")}, "reported_cost_usd"), ({"reported_cost_usd": "1"}, "reported_cost_usd"),
    ({"reported_cost_usd": 1_000_001}, "reported_cost_usd"), ({"reported_cost_usd": True}, "reported_cost_usd"),
    ({"agent_id": ""}, "agent_id"), ({"agent_id": "  "}, "agent_id"), ({"agent_id": None}, "agent_id"),
    ({"agent_id": 5}, "agent_id"), ({"agent_id": "a\0b"}, "agent_id"), ({"agent_id": "\ud800"}, "agent_id"),
    ({"model": ""}, "model"), ({"customer_id": ""}, "customer_id"), ({"customer_id": 42}, "customer_id"),
    ({"customer_id": b"x"}, "customer_id"), ({"feature": ""}, "feature"), ({"evidence": "guess"}, "evidence"),
    ({"evidence": None}, "evidence"), ({"evidence": ""}, "evidence"), ({"usage": {"u": -1}}, "usage.u"),
    ({"usage": {"u": float("nan")}}, "usage.u"), ({"usage": {"u": True}}, "usage.u"),
    ({"usage": {"u": 10**10}}, "usage.u"), ({"usage": {"": 1}}, "usage"), ({"usage": []}, "usage"),
    ({"usage": "{}"}, "usage"), ({"usage": {"\ud800": 1}}, "usage"),
]  # fmt: skip
BAD_TOOLS: list[tuple[dict[str, Any], str]] = [
    ({"tool": ""}, "tool"), ({"tool": None}, "tool"), ({"tool": 5}, "tool"), ({"units": -1}, "units"),
    ({"units": float("inf")}, "units"), ({"units": 1e19}, "units"), ({"cost_usd": -0.01}, "cost_usd"),
    ({"cost_usd": 1e10}, "cost_usd"), ({"cost_usd": float("nan")}, "cost_usd"), ({"duration_ms": -1}, "duration_ms"),
    ({"duration_ms": 1.5}, "duration_ms"), ({"status": ""}, "status"), ({"resource_id": "\0"}, "resource_id"),
    ({"tool_call_id": ""}, "tool_call_id"), ({"duration_ms": 2_000_000_000}, "duration_ms"),
    ({"error_type": " "}, "error_type"), ({"result_bytes": -1}, "result_bytes"),
    ({"result_bytes": 0.5}, "result_bytes"), ({"arguments_bytes": 10**16}, "arguments_bytes"),
    ({"result_digest": ""}, "result_digest"),
]  # fmt: skip


@pytest.mark.parametrize("changes", GOOD_CALLS)
def test_good_calls_pass_here_and_in_the_table(ledger: Ledger, changes: dict[str, Any]) -> None:
    check(replace(CALL, **changes))
    assert ledger.record_calls([replace(CALL, **changes)]).added == 1


@pytest.mark.parametrize(("changes", "field"), BAD_CALLS)
def test_bad_calls_are_refused_naming_field_and_value(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRecord) as error:
        check(replace(CALL, **changes))
    assert error.value.field == field
    assert str(error.value).startswith(f"{field} is ")


@pytest.mark.parametrize(("changes", "field"), BAD_TOOLS)
def test_bad_tool_calls_are_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRecord) as error:
        check(replace(TOOL, **changes))
    assert error.value.field == field


@pytest.mark.parametrize(("changes", "field"), BAD_CALLS)
def test_recording_refuses_what_validation_refuses(ledger: Ledger, changes: dict[str, Any], field: str) -> None:
    """The tables check on the fast way, this module on the careful one: they must not disagree."""
    fields = {"agent_id": "a", "request_id": "r", "model": "m", "prompt_tokens": 100, "completion_tokens": 10}
    with pytest.raises(InvalidRecord) as error:
        ledger.record_call(**{**fields, "ts": NOON, **changes})
    assert error.value.field == field
    with pytest.raises(InvalidRecord) as error:
        ledger.record_calls([{**fields, **changes}])
    assert error.value.field == field
    with raw(ledger) as connection:
        assert connection.execute("select count(*) from ledger").fetchone() == (0,)


@pytest.mark.parametrize(("changes", "field"), BAD_TOOLS)
def test_recording_refuses_bad_tool_calls(ledger: Ledger, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRecord) as error:
        ledger.record_tool_call(**{"tool": "t", "tool_call_id": "tc", "ts": NOON, **changes})
    assert error.value.field == field


def test_the_sentence_shortens_what_is_long() -> None:
    with pytest.raises(InvalidRecord) as error:
        check(replace(CALL, agent_id="\0" * 5000))
    assert len(str(error.value)) < 200


def test_the_kinds_of_fields(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        kinds: dict[str, str] = {}
        for table in ("ledger", "audit"):
            connection.row_factory = sqlite3.Row
            kinds |= {row["name"]: row["type"] for row in connection.execute(f"pragma table_info({table})")}
    kinds.pop("id")
    assert {name for name, kind in kinds.items() if kind == "INTEGER"} == set(filter(is_count_field, kinds))
    assert {name for name, kind in kinds.items() if kind == "REAL"} == set(filter(is_amount_field, kinds))
