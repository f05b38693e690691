from __future__ import annotations

from support import call, price, query

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    """Rollups, what came later, and what stands alone: each call once in each grain together with call."""
    ledger.set_prices([price(input=2, output=10, units={"seconds": 8})])
    ledger.record_call(**call(request_id="1"))
    ledger.record_call(**call(request_id="2", usage={"seconds": 1.25}))
    ledger.compact()
    ledger.record_call(**call(request_id="3"))
    columns = "grain, bucket, calls, cost_4096ths, cost_picos, first_ts"
    noon = "2026-01-15T12:00:00.000Z"
    assert query(ledger, f"select {columns} from usage_cost where grain in ('month', 'call') order by 1 desc, 5") == [
        ("month", "2026-01", 1, 0, 300, noon),
        ("call", noon, 1, 0, 300, noon),
        ("call", noon, 1, 0, 310, noon),
    ]
