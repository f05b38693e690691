from __future__ import annotations

from support import call, tool_call

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.record_call(**call(request_id="1", response_id="x"))
    ledger.record_call(**call(request_id="1", agent_id="b", prompt_tokens=None, ts="2027-01-01"))
    ledger.record_call(**call(request_id="2", evidence="partial"))
    ledger.record_call(**call(request_id="2", completion_tokens=50))
    ledger.record_tool_call(**tool_call(tool="read", resource_id="b", ts="2026-01-01"))
    ledger.record_tool_call(**tool_call(tool="write", ts="2026-01-02"))
    assert [tuple(row.values()) for row in ledger.rows("request_conflicts")] == [
        ("llm", "1", "x", 1, 2, "a, m, 100 in, 10 out", "b, m, ? in, 10 out"),
        ("tool", "r", "tc", 1, 2, "read, b", "write, no resource"),
    ]
