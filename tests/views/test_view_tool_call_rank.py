from __future__ import annotations

from support import tool_call

from agent_ledger import Ledger


def test_given_rows_expected_order(ledger: Ledger) -> None:
    worst_first = [
        {"request_id": None, "status": "ok", "cost_usd": 0.5, "ts": "2026-01-01"},
        {"ts": "2026-01-02"},
        {"ts": "2026-01-01"},
        {"duration_ms": 5, "ts": "2026-01-02"},
        {"resource_id": "b", "units": 1, "ts": "2026-01-02"},
        {"status": "ok", "ts": "2026-01-02"},
        {"status": "error", "error_type": "exception", "ts": "2026-01-01"},
        {"status": "error", "error_type": "KeyError", "ts": "2026-01-02"},
        {"status": "ok", "arguments_digest": "d", "ts": "2026-01-01"},
        {"status": "ok", "cost_usd": 0.5, "units": 1, "ts": "2026-01-01"},
    ]
    ledger.record_tool_calls(tool_call(tool_call_id=str(number), **one) for number, one in enumerate(worst_first))
    ranked = sorted(ledger.rows("tool_call_rank"), key=lambda row: row["rank"])
    assert [row["tool_call_id"] for row in ranked] == [str(number) for number in range(len(worst_first))]
