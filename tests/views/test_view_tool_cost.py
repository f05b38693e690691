from __future__ import annotations

import pytest
from support import add_charge, add_delivery, query, raw, tool_call

from agent_ledger import Ledger

SEEN = "select tool_call_id, cost_usd, cost_source from tool_cost order by id"


@pytest.mark.usefixtures("no_sources")
def test_one_source_per_call(ledger: Ledger) -> None:
    for name, more in (("1", {"cost_usd": 0.5}), ("2", {"tool": "priced"}), ("3", {}), ("4", {"resource_id": None})):
        ledger.record_tool_call(**{**tool_call(tool_call_id=name, resource_id="b"), **more})
    with raw(ledger) as connection:
        add_charge(connection, add_delivery(connection), "1", "3", resource_id="b")
    ledger.allocate()
    assert query(ledger, SEEN) == [
        ("1", 0.5, "reported"), ("2", 1.5, "allocated"), ("3", 1.5, "allocated"), ("4", None, None)
    ]  # fmt: skip
    ledger.set_tool_price("priced", "0.25")
    assert query(ledger, SEEN) == [
        ("1", 0.5, "reported"), ("2", 0.25, "tool_price"), ("3", 3.0, "allocated"), ("4", None, None)
    ]  # fmt: skip


def test_the_price_of_a_tool(ledger: Ledger) -> None:
    calls = (("1", 2, "pages"), ("2", 2, "bytes"), ("3", None, None), ("4", None, "pages"))
    for name, units, unit in calls:
        ledger.record_tool_call(**tool_call(tool_call_id=name, server="s", units=units, unit=unit))

    def costs() -> list[float | None]:
        return [row[1] for row in query(ledger, SEEN)]

    ledger.set_tool_price("t", 1, unit="pages")
    assert costs() == [2, None, None, None]
    ledger.set_tool_price("t", 0.5, effective_from="2026-01-15")
    assert costs() == [0.5] * 4, "the later start"
    ledger.set_tool_price("t", 9, effective_from="2026-01-16")
    ledger.set_tool_price("t", 9, effective_to="2026-01-15T12:00:00Z", effective_from="2026-01-15T11:00:00Z")
    ledger.set_tool_price("t", 9, server="other")
    assert costs() == [0.5] * 4
    ledger.set_tool_price("t", 4, server="s")
    assert costs() == [4] * 4, "that of the server"
    ledger.set_tool_price("t", 3, server="s")
    assert costs() == [3] * 4, "the later row"


def test_several_lines_of_a_bill_add_up(ledger: Ledger) -> None:
    ledger.record_tool_call(**tool_call(resource_id="b"))
    with raw(ledger) as connection:
        delivery = add_delivery(connection)
        for number, cost in enumerate(("3", "0.5", "-1", "10000.123456789012")):
            add_charge(connection, delivery, str(number), cost, resource_id="b")
    ledger.allocate()
    assert query(ledger, "select cost_usd, cost_picos from tool_cost") == [(10002.623456789012, 10002623456789012)]
