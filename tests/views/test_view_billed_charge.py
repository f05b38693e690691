from __future__ import annotations

from support import add_charge, add_delivery, query, raw

from agent_ledger import Ledger

SEEN = "select charge_id, cost_usd, cost_picos from billed_charge order by id"


def test_the_latest_delivery_of_a_bill_and_month_counts(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        for name, cost in (("a", "1"), ("b", "2")):
            add_charge(connection, add_delivery(connection, name), name, cost)
        add_charge(connection, add_delivery(connection, billing_period="2026-02"), "c", "3")
        add_charge(connection, add_delivery(connection, bill="aws 2"), "d", "4")
        add_delivery(connection, "usage", content="usage")
    assert query(ledger, SEEN) == [("b", 2.0, 2 * 10**12), ("c", 3.0, 3 * 10**12), ("d", 4.0, 4 * 10**12)]
    with raw(ledger) as connection:
        add_delivery(connection, "empty")
    assert query(ledger, SEEN)[0][0] == "c", "a delivery without lines is a bill of nothing"


def test_currencies_are_converted_by_the_rate_of_the_day(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        delivery = add_delivery(connection)
        add_charge(connection, delivery, "1", "2.5", currency="EUR")
        add_charge(connection, delivery, "2", "2.5", currency="GBP")
    assert query(ledger, SEEN) == [("1", None, None), ("2", None, None)]
    ledger.set_exchange_rate("EUR", 2, effective_from="2026-01-16")
    assert query(ledger, SEEN)[0][1] is None, "not yet on the 15th"
    ledger.set_exchange_rate("EUR", 3)
    ledger.set_exchange_rate("EUR", 1.5, effective_from="2026-01-15")
    ledger.set_exchange_rate("EUR", 2, effective_from="2026-01-15")
    assert query(ledger, SEEN) == [("1", 5.0, 5 * 10**12), ("2", None, None)]
    assert query(ledger, "select cost, currency from billed_charge") == [("2.5", "EUR"), ("2.5", "GBP")]
