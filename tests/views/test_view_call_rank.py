from __future__ import annotations

from support import call

from agent_ledger import Ledger


def test_given_rows_expected_order(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    worst_first = [
        {"evidence": "partial"},
        {"evidence": "span"},
        {"evidence": "log", "ts": "2026-01-01T00:00:00.000Z"},
        {"evidence": "log", "ts": "2026-01-01T00:00:00.001Z"},
        {"evidence": "header"},
        {"evidence": "response", "ts": "2026-01-01T00:00:00.001Z"},
        {"evidence": "response", "ts": "2026-01-01T00:00:00.000Z", "completion_tokens": 1},
        {"evidence": "response", "ts": "2026-01-01T00:00:00.000Z", "completion_tokens": 11},
        {"evidence": "partial", "response_id": "x"},
    ]
    ledger.record_calls(call(request_id=str(number), **changes) for number, changes in enumerate(worst_first))
    ranked = sorted(ledger.rows("call_rank"), key=lambda row: row["rank"])
    assert [row["request_id"] for row in ranked] == [str(number) for number in range(len(worst_first))]


def test_content_is_what_determines_the_cost(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    changes = [
        {}, {"cache_read_tokens": 0}, {"service_tier": "standard"}, {"customer_id": "c"}, {"evidence": "log"},
        {"cache_read_tokens": 1}, {"completion_tokens": 11}, {"service_tier": "batch"}, {"model": "n"},
    ]  # fmt: skip
    ledger.record_calls(call(request_id=str(number), **change) for number, change in enumerate(changes))
    contents = [row["content"] for row in ledger.rows("call_rank")]
    assert len(set(contents[:5])) == 1
    assert len(set(contents)) == 5
