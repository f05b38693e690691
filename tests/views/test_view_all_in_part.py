from __future__ import annotations

import pytest
from billed import billed, stated
from support import query

from agent_ledger import Ledger

SUMS = """
  select sum(calls), sum(tool_calls), sum(unpriced_calls), sum(uncosted_calls),
    total(coalesce(llm_4096ths * 244140625 + llm_picos, tool_4096ths * 244140625 + tool_picos))
  from all_in_part where grain in (?, 'call')
"""


@pytest.mark.parametrize("grain", ["day", "month", "agent_customer", "customer_day", "customer_month"])
def test_each_grain_holds_everything_once(ledger: Ledger, grain: str, no_sources: None) -> None:  # noqa: ARG001
    billed(ledger)
    expected = [(4, 4, 2, 1, stated(ledger))]
    assert query(ledger, SUMS, grain) == expected
    ledger.compact()
    assert query(ledger, SUMS, grain) == expected
    rest = "select bucket, agent_id, tool_4096ths * 244140625 + tool_picos from all_in_part where grain = 'call'"
    nobody = "(unallocated)"
    assert query(ledger, rest) == [("2026-01-01", nobody, -5 * 10**11), ("2026-02-01", nobody, 2 * 10**12)]
