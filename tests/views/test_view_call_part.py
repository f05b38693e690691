from __future__ import annotations

from support import call, price

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.set_prices([price(input=2, output=10, web_search=5)])
    ledger.record_call(**call(request_id="1", web_search_requests=1))
    ledger.record_call(**call(request_id="2", model="nobody's"))
    rows = [
        {name: row[name] for name in ("id", "grain", "bucket", "calls", "cost_4096ths", "cost_picos", "searches")}
        for row in ledger.rows("call_part")
    ]
    same = {"grain": "call", "bucket": "2026-01-15T12:00:00.000Z", "calls": 1, "cost_4096ths": 0}
    assert rows == [
        {"id": 1, **same, "cost_picos": 305, "searches": 1},
        {"id": 2, **same, "cost_picos": None, "searches": 0},
    ]
