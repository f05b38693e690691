from __future__ import annotations

from support import add_bill, add_charge, add_delivery, query, raw

from agent_ledger import Ledger

SEEN = "select charge_id, cost_usd, reason from unallocated_charge order by charge_row"


def test_what_nobody_takes_and_why(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        add_bill(connection)
    assert query(ledger, SEEN) == [
        ("1", 0.000003, "not all metered"),
        ("2", 1.5, "no tool call"),
        ("3", 0.25, "tax or fee"),
        ("4", -0.5, "credit"),
        ("5", 2.5, "no resource"),
        ("6", None, "no exchange rate"),
    ]
    total = "select sum(cost_picos) from {}"
    parts = [query(ledger, total.format(name))[0][0] for name in ("allocated_charge", "unallocated_charge")]
    assert sum(parts) == query(ledger, total.format("billed_charge where kind = 'cloud'"))[0][0]


def test_a_bill_in_plain_sql_is_not_lost(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        add_charge(connection, add_delivery(connection), "1", "2", resource_id="b")
    assert query(ledger, SEEN) == [("1", 2.0, "not allocated yet")]
