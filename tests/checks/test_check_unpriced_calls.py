from __future__ import annotations

from support import call, found_by, price

from agent_ledger import Ledger


def test_calls_without_a_cost(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.record_calls([call(request_id="1", provider="p"), call(request_id="2", provider="p")])
    assert found_by(ledger, "unpriced_calls") == [("m, 2 calls", "no price source knows this model of the provider p")]
    ledger.set_prices([price(input=1, output=1)])
    assert found_by(ledger, "unpriced_calls") == []
