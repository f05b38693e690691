from __future__ import annotations

import pytest
from billed import billed
from support import query

from agent_ledger import Ledger

SUMS = (
    "select sum(calls), sum(failed_calls), sum(uncosted_calls), sum(cost_4096ths * 244140625 + cost_picos)"
    " from tool_usage_cost where grain in (?, 'call')"
)


@pytest.mark.parametrize("grain", ["day", "month", "agent_customer", "customer_day", "customer_month"])
def test_each_grain_holds_every_call_once(ledger: Ledger, grain: str, no_sources: None) -> None:  # noqa: ARG001
    billed(ledger)
    expected = [(4, 1, 1, 15 * 10**11)]
    assert query(ledger, SUMS, grain) == expected
    ledger.compact()
    assert query(ledger, "select count(*) from tool_usage_cost where grain = 'call'") == [(0,)]
    assert query(ledger, SUMS, grain) == expected
    ledger.record_tool_call(tool="t", cost_usd=1)
    assert query(ledger, SUMS, grain) == [(5, 1, 1, 25 * 10**11)]
