from __future__ import annotations

from support import call, tool_call

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.record_call(**call(request_id="there"))
    ledger.record_tool_call(**tool_call(request_id="there", tool_call_id="1"))
    ledger.record_tool_call(**tool_call(request_id="missing", tool_call_id="2", server="s", resource_id="b"))
    ledger.record_tool_call(**tool_call(request_id=None, tool_call_id="3"))
    ledger.record_tool_call(**tool_call(request_id="missing", tool_call_id="2", server="s", status="ok"))
    rows = ledger.rows("orphan_tool_calls")
    assert [(row["request_id"], row["tool_call_id"], row["resource_id"]) for row in rows] == [
        (None, "3", None), ("missing", "2", None),
    ]  # fmt: skip
    ledger.record_call(**call(request_id="missing"))
    assert [row["tool_call_id"] for row in ledger.rows("orphan_tool_calls")] == ["3"]
