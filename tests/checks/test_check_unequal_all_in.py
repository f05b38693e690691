from __future__ import annotations

import pytest
from billed import billed
from support import add_bill, found_by, query, raw

from agent_ledger import Ledger, schema

pytestmark = pytest.mark.usefixtures("no_sources")


def test_a_sound_ledger_has_none(ledger: Ledger) -> None:
    assert found_by(ledger, "unequal_all_in") == []
    billed(ledger)
    assert found_by(ledger, "unequal_all_in") == []


def test_an_allocated_bill_has_none(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        add_bill(connection)
    assert found_by(ledger, "unequal_all_in") == []


@pytest.mark.parametrize(
    "change",
    [
        "update allocation set cost_picos = cost_picos + 1",
        "update allocation_rest set cost_picos = cost_picos - 1 where cost_picos > 0",
        "delete from allocation where weight = 3",
    ],
)
def test_an_allocation_that_does_not_add_up(ledger: Ledger, change: str) -> None:
    billed(ledger)
    with raw(ledger) as connection:
        connection.execute(change)
    [(subject, problem)] = found_by(ledger, "unequal_all_in")
    assert subject == "daily_all_in"
    assert problem.endswith("allocate the bills anew")


def test_a_cube_that_loses_calls(ledger: Ledger) -> None:
    billed(ledger)
    with raw(ledger) as connection:
        sound = schema.scripts("views")["daily_all_in"]
        connection.execute("drop view daily_all_in")
        connection.execute(
            f"create view daily_all_in as with cube as ({sound}) select * from cube where day <> '2026-02-02'"
        )
    [(_, problem)] = found_by(ledger, "unequal_all_in")
    assert "it sums to 3 calls, 3 tool calls" in problem
    assert query(ledger, "select count(*) from tool_cost") == [(4,)]
