from __future__ import annotations

import pytest
from directed import cap
from support import add_prices, call, price, raw

from agent_ledger import Ledger


@pytest.mark.usefixtures("no_sources")
def test_what_is_left_is_the_cap_less_what_is_spent_and_reserved(ledger: Ledger) -> None:
    add_prices(ledger, price(input=10**9, output=0))
    cap(ledger, usd=1, hard_percent=110)
    cap(ledger, usd=None, tokens=1000, name="tokens")
    cap(ledger, hard_percent=None, name="without")
    ledger.record_call(**call(agent_id="scraper", prompt_tokens=300, completion_tokens=0, ts=None))
    with raw(ledger) as connection:
        for state, until in (("open", "2999"), ("open", "2026"), ("expired", "2026")):
            connection.execute(
                "insert into reservation (id, budget, agent_id, made_at, expires_at, picos, state) values"
                " (?, 'scraping', 'scraper', '2026-01-01T00:00:00.000Z', ?, 200000000000, ?)",
                [f"{state} {until}", f"{until}-01-02T00:00:00.000Z", state],
            )
    money, tokens = sorted(ledger.rows("hard_cap"), key=lambda row: str(row["budget"]))
    assert money == {
        "budget": "scraping", "scope": "agent", "key": "scraper", "window": "2026-01",
        "window_end": "2999-01-01T00:00:00.000Z", "hard_percent": 110, "reserved": 1, "left_usd": 0.6,
        "left_4096ths": 2457, "left_picos": 146484375, "left_tokens": None, "currency": "USD",
    }  # fmt: skip
    assert 2457 * 244_140_625 + 146_484_375 == 6 * 10**11
    assert (tokens["left_tokens"], tokens["left_usd"], tokens["reserved"]) == (700, None, 0)


def test_an_exception_takes_the_cap_away(ledger: Ledger) -> None:
    cap(ledger)
    assert len(ledger.rows("hard_cap")) == 1
    with raw(ledger) as connection:
        connection.execute(
            "insert into budget_exception (budget, valid_from, valid_until, granted_by)"
            " values ('scraping', '2026-01-01T00:00:00.000Z', '2999-01-01T00:00:00.000Z', 'mia')"
        )
    assert ledger.rows("hard_cap") == []
