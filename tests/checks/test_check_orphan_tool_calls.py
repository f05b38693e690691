from __future__ import annotations

from support import call, found_by, tool_call

from agent_ledger import Ledger


def test_tool_calls_without_their_call(ledger: Ledger) -> None:
    ledger.record_tool_call(**tool_call(request_id="missing", tool_call_id="1"))
    ledger.record_tool_call(**tool_call(request_id=None, tool_call_id="2"))
    assert sorted(found_by(ledger, "orphan_tool_calls")) == [
        ("1", "request missing is not in the ledger: record the LLM call with the same request_id"),
        ("2", "it names no request: record the LLM call with the same request_id"),
    ]


def test_a_sound_ledger_has_none(ledger: Ledger) -> None:
    ledger.record_call(**call())
    ledger.record_tool_call(**tool_call())
    assert found_by(ledger, "orphan_tool_calls") == []
