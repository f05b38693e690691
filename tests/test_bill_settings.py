"""What the user says about bills and tools enters as it was said, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from support import query

from agent_ledger import InvalidRecord, Ledger


def test_rules(ledger: Ledger) -> None:
    ledger.set_rule("db", method="weighted", weight="duration", service="AmazonRDS", tool="query*", priority=5)
    found = query(ledger, "select name, priority, service, account, tool, method, weight from allocation_rule")
    assert found == [("db", 5, "AmazonRDS", None, "query*", "weighted", "duration")]


@pytest.mark.parametrize(
    "wrong", [{"method": "x"}, {"weight": "x"}, {"tool": ""}, {"priority": "1"}, {"colour": "red"}, {"name": ""}]
)
def test_rules_that_are_refused(ledger: Ledger, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord, match=next(iter(wrong))):
        ledger.set_rule(**{"name": "db", "method": "none", **wrong})
    assert query(ledger, "select * from allocation_rule") == []


def test_exchange_rates(ledger: Ledger) -> None:
    ledger.set_exchange_rate("EUR", "1.08")
    ledger.set_exchange_rate("EUR", 1.1, effective_from="2026-10-01")
    assert query(ledger, "select currency, effective_from, usd from exchange_rate") == [
        ("EUR", "0001-01-01T00:00:00.000Z", 1.08),
        ("EUR", "2026-10-01T00:00:00.000Z", 1.1),
    ]
    for currency, usd, start, name in (
        ("USD", 1, None, "currency"), ("eur", 1, None, "currency"), ("EUR", 0, None, "usd"), ("EUR", "x", None, "usd"),
        ("EUR", 1, "soon", "effective_from"),
    ):  # fmt: skip
        with pytest.raises(InvalidRecord, match=name):
            ledger.set_exchange_rate(currency, usd, effective_from=start)


def test_tool_prices(ledger: Ledger) -> None:
    ledger.set_tool_price("geocode", "0.005", server="maps", unit="requests", effective_to="2026-10-01")
    found = query(ledger, "select server, tool, effective_from, effective_to, unit, price from tool_price")
    assert found == [("maps", "geocode", "0001-01-01T00:00:00.000Z", "2026-10-01T00:00:00.000Z", "requests", 5 * 10**9)]
    for wrong in ({"price": -1}, {"price": "x"}, {"tool": " "}, {"effective_to": "2020"}, {"effective_from": "x"}):
        given: dict[str, Any] = {"tool": "t", "price": 1, "effective_from": "2026-01-01", **wrong}
        with pytest.raises(InvalidRecord, match=next(iter(wrong))):
            ledger.set_tool_price(given.pop("tool"), given.pop("price"), **given)
