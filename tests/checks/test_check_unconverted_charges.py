from __future__ import annotations

from support import add_bill, found_by, raw

from agent_ledger import Ledger


def test_lines_without_an_exchange_rate(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        add_bill(connection)
    problem = "it has no exchange rate from 2026-01-15 on: run agent-ledger rate LEDGER set GBP USD"
    assert found_by(ledger, "unconverted_charges") == [("aws 1 2026-01, 1 line in GBP", problem)]
    ledger.set_exchange_rate("GBP", 1.25)
    assert found_by(ledger, "unconverted_charges") == []
