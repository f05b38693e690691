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
    ("old", "new"),
    [
        ("from call_cost", "from call_cost where cost_picos is not null"),
        ("sum(cost_picos % 244140625)", "sum(cost_picos % 244140625) + 1"),
        ("cast(sum(cost_picos / 244140625) as", "cast(sum(cost_picos / 244140625) + 1 as"),
    ],
)
def test_a_cube_that_loses_something(ledger: Ledger, old: str, new: str) -> None:
    spent(ledger)
    broken = schema.scripts("views")["daily_cost"].replace(old, new)
    with raw(ledger) as connection:
        connection.execute("drop view daily_cost")
        connection.execute(f"create view daily_cost as {broken}")
        [(subject, problem)] = connection.execute(schema.scripts("checks")["unequal_axes"]).fetchall()
    assert subject == "daily_cost"
    assert "calls" in problem
    assert query(ledger, "select count(*) from call_cost") == [(4,)]
