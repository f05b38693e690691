from __future__ import annotations

import pytest
from support import add_prices, call, naive_cost, price, query

from agent_ledger import Ledger

GRAINS = ("hour", "day", "month", "agent_customer", "customer_day", "customer_month")


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.set_prices([price(input=2, output=10, request=1000)])
    ledger.assign("a", team="x", owner="zoe")
    ledger.record_call(**call(request_id="1", customer_id="acme", cache_read_tokens=40))
    ledger.record_call(**call(request_id="2", customer_id="acme", cache_write_tokens=60))
    ledger.record_call(**call(request_id="3", customer_id="acme", prompt_tokens=None))
    ledger.compact()
    columns = (
        "team, owner, customer_id, customer, calls, prompt_tokens, completion_tokens,"
        " cost_4096ths, cost_picos, cost_source"
    )
    assert query(ledger, f"select {columns} from rollup_cost where grain = 'agent_customer' order by calls desc") == [
        ("x", "zoe", "acme", "acme", 2, 200, 20, 0, 2 * 200 + 10 * 20 + 2000, "computed"),
        ("x", "zoe", "acme", "acme", 1, None, 10, 0, None, None),
    ]
    together = query(ledger, "select agent_id, team, bucket from rollup_cost where grain = 'customer_month'")
    assert set(together) == {("", None, "2026-01")}


@pytest.mark.parametrize("calls", [1, 3])
def test_amounts_beyond_64_bits_of_picos(ledger: Ledger, no_sources: None, calls: int) -> None:  # noqa: ARG001
    """A month of one agent may cost more than the 9.2 million dollars that a product of 64 bits holds."""
    units = {"images": 9_999_999_967}
    add_prices(
        ledger, price(input=1_999_999_993, output=3_999_999_979, web_search=10**12 - 11, request=10**12, units=units)
    )
    ledger.record_calls(
        call(
            request_id=f"r{number}",
            prompt_tokens=999_999_937,
            completion_tokens=999_999_929,
            cache_read_tokens=99_999_989,
            reasoning_tokens=7,
            web_search_requests=99_991,
            usage={"images": 983},
        )
        for number in range(calls)
    )
    exact = sum(picos or 0 for picos in naive_cost(ledger).values())
    ledger.compact()
    for grain in GRAINS:
        [(whole, rest)] = query(ledger, "select cost_4096ths, cost_picos from rollup_cost where grain = ?", grain)
        assert whole * 244140625 + rest == exact, grain
        assert (type(whole), type(rest)) == (int, int), "nothing passed 64 bits and became a float"
