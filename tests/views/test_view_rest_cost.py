from __future__ import annotations

from billed import FEBRUARY, billed
from support import add_charge, query, raw

from agent_ledger import Ledger

REST = "select bucket, cost_4096ths * 244140625 + cost_picos from rest_cost order by 1"


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    """Line by line, or by day once they are summed: until another line comes."""
    billed(ledger)
    assert query(ledger, REST) == [("2026-01-01T00:00:00.000Z", -5 * 10**11), ("2026-02-01T00:00:00.000Z", 2 * 10**12)]
    ledger.compact()
    assert query(ledger, REST) == [("2026-01-01", -5 * 10**11), ("2026-02-01", 2 * 10**12)]
    with raw(ledger) as connection:
        add_charge(connection, 1, "late", "1", **FEBRUARY)
    assert [picos for _, picos in query(ledger, REST)] == [-5 * 10**11, 2 * 10**12, 10**12]
    with raw(ledger) as connection:
        connection.execute("delete from allocation")
        connection.execute("delete from allocation_rest")
    assert sum(picos for _, picos in query(ledger, REST)) == 35 * 10**11
    ledger.allocate()
    assert sum(picos for _, picos in query(ledger, REST)) == sum(
        picos for (picos,) in query(ledger, "select cost_picos from unallocated_charge where cost_picos is not null")
    )


def test_an_exchange_rate_in_plain_sql_counts_at_once(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    billed(ledger)
    ledger.compact()
    with raw(ledger) as connection:
        connection.execute(
            "insert into exchange_rate (currency, effective_from, usd) values ('EUR', '2026-01-01T00:00:00.000Z', 2)"
        )
    assert sum(picos for _, picos in query(ledger, REST)) == 195 * 10**11
