"""Assigning agents divides the rollups where it has to; what it says stands in test_ledger."""

from __future__ import annotations

import pytest
from support import call, query

from agent_ledger import Ledger

pytestmark = pytest.mark.usefixtures("no_sources")


@pytest.mark.parametrize(
    ("moment", "grains"),
    [
        (None, set()),
        ("2026-02-01", set()),
        ("2026-02-10", {"month"}),
        ("2026-02-10T12:00:00Z", {"month", "day", "agent_customer"}),
        ("2026-02-10T12:00:30Z", {"month", "day", "agent_customer", "hour"}),
    ],
)
def test_the_rollups_of_the_agent_are_divided(ledger: Ledger, moment: str | None, grains: set[str]) -> None:
    ledger.record_calls(
        call(request_id=f"{agent}{minute}", agent_id=agent, ts=f"2026-02-10T{minute}:40.000Z", customer_id="c")
        for agent in ("a", "b")
        for minute in ("00:00", "11:59", "12:00", "12:01")
    )
    ledger.record_call(**call(request_id="before", ts="2026-02-10T12:00:10.000Z"))
    ledger.compact()
    ledger.assign("a", team="x", valid_from=moment)
    assert {grain for (grain,) in query(ledger, "select grain from usage_rollup where cut <> ''")} == grains
    assert query(ledger, "select ledger_row from compacted") == [(9,)]
    teams = query(ledger, "select team, calls from cost_by_team where team = 'x'")
    later = [row for row in query(ledger, "select ts from ledger where agent_id = 'a'") if row[0] >= (moment or "")]
    assert teams == [("x", len(later))]
    assert query(ledger, "select sum(calls) from daily_cost where team = 'x'") == [(len(later),)]
