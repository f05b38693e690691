from __future__ import annotations

import sqlite3

import pytest
from support import add_prices, call, price, query

from agent_ledger import Ledger, compacting
from agent_ledger.schema import open_for_writing

pytestmark = pytest.mark.usefixtures("no_sources")


@pytest.fixture
def used(ledger: Ledger) -> Ledger:
    """Two equal calls with tokens of every kind, one reported as a whole, one without a price."""
    add_prices(
        ledger,
        price(
            input=10, cache_read=1, cache_write=2, cache_write_1h=3, output=20, reasoning=50, web_search=7, request=4,
            units={"pages": 11},
        ),
    )  # fmt: skip
    parts = {"cache_read_tokens": 30, "cache_write_tokens": 20, "cache_write_1h_tokens": 5, "reasoning_tokens": 4}
    ledger.record_calls(
        [
            *(call(request_id=name, web_search_requests=2, usage={"pages": 3}, **parts) for name in ("1", "2")),
            call(request_id="3", model="n", reported_cost_usd=0.25),
            call(request_id="4", model="n"),
        ]
    )
    return ledger


def compacted(ledger: Ledger) -> None:
    connection = open_for_writing(ledger.path, synchronous="off")
    compacting.compact(connection)
    connection.close()


@pytest.mark.parametrize("is_compacted", [False, True])
def test_given_rows_expected_rows(used: Ledger, is_compacted: bool) -> None:
    if is_compacted:
        compacted(used)
    found = query(
        used,
        "select token_type, unit_picos, count(*), sum(quantity), sum(cost_picos) from token_cost"
        " group by 1, 2 order by 1",
    )
    rows = 1 if is_compacted else 2
    assert found == [
        ("cache_read", 1, rows, 60, 60),
        ("cache_write", 2, rows, 30, 60),
        ("cache_write_1h", 3, rows, 10, 30),
        ("input", 10, rows, 100, 1000),
        ("output", 20, rows, 12, 240),
        ("reasoning", 50, rows, 8, 400),
        ("request", 4, rows, 2, 8),
        ("units", None, rows, None, 66),
        ("web_search", 7, rows, 4, 28),
        ("whole", None, 1, 1, 250_000_000_000),
    ]


@pytest.mark.parametrize("is_compacted", [False, True])
def test_it_sums_to_the_cost_of_the_calls(used: Ledger, is_compacted: bool) -> None:
    if is_compacted:
        compacted(used)
    by_source = "select cost_source, price_source, sum(cost_picos) from {} group by 1, 2 order by 1, 2"
    calls = query(used, by_source.format("call_cost where cost_picos is not null"))
    assert query(used, by_source.format("token_cost")) == calls


def test_more_than_an_integer_holds_is_an_error_and_not_a_wrong_sum(ledger: Ledger) -> None:
    add_prices(ledger, price(input=4_000_000_000, output=1))
    ledger.record_calls(call(request_id=str(n), prompt_tokens=1_000_000_000) for n in range(3))
    compacted(ledger)
    with pytest.raises(sqlite3.OperationalError, match="integer overflow"):
        query(ledger, "select * from token_cost")
