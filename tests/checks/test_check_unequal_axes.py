from __future__ import annotations

import pytest
from support import call, found_by, price, query, raw, spent

from agent_ledger import Ledger, schema

pytestmark = pytest.mark.usefixtures("no_sources")


def test_a_sound_ledger_has_none(ledger: Ledger) -> None:
    assert found_by(ledger, "unequal_axes") == []
    spent(ledger)
    ledger.record_calls(call(request_id=f"x{n}", prompt_tokens=10**9 - n, agent_id=f"a{n % 3}") for n in range(50))
    ledger.set_prices([price(input=3_999_999_999, output=1)])
    assert found_by(ledger, "unequal_axes") == []


@pytest.mark.parametrize(
    "changed",
    [
        "cost_4096ths, cost_picos, calls from cube where cost_picos is not null",
        "cost_4096ths, cost_picos + 1 as cost_picos, calls from cube",
        "cost_4096ths + 1 as cost_4096ths, cost_picos, calls from cube",
        "cost_4096ths, cost_picos, calls + 1 as calls from cube",
    ],
)
def test_a_cube_that_loses_something(ledger: Ledger, changed: str) -> None:
    spent(ledger)
    with raw(ledger) as connection:
        connection.execute("drop view daily_cost")
        sound = schema.scripts("views")["daily_cost"]
        connection.execute(f"create view daily_cost as with cube as ({sound}) select day, {changed}")
        [(subject, problem)] = connection.execute(schema.scripts("checks")["unequal_axes"]).fetchall()
    assert subject == "daily_cost"
    assert "calls" in problem
    assert query(ledger, "select count(*) from call_cost") == [(4,)]
