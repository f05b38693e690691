from __future__ import annotations

from support import add_bill, found_by, raw

from agent_ledger import Ledger


def test_parts_that_do_not_add_up(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        add_bill(connection)
    assert found_by(ledger, "unallocated_sums") == []
    with raw(ledger) as connection:
        connection.execute("update allocation set cost_picos = cost_picos + 1")
    problem = "its parts sum to 4000001 pico-dollars, the line is 4000000: run agent-ledger allocate LEDGER"
    assert found_by(ledger, "unallocated_sums") == [("aws 1 2026-01, line 1", problem)]
    ledger.allocate()
    assert found_by(ledger, "unallocated_sums") == []
