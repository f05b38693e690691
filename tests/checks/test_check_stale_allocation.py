from __future__ import annotations

import pytest
from support import add_bill, add_charge, add_delivery, found_by, raw, tool_call

from agent_ledger import Ledger


@pytest.mark.usefixtures("no_sources")
def test_what_came_since(ledger: Ledger) -> None:
    ledger.record_tool_call(**tool_call(tool_call_id="1"))
    assert found_by(ledger, "stale_allocation") == [], "there is no bill"
    with raw(ledger) as connection:
        add_bill(connection)
    assert found_by(ledger, "stale_allocation") == []
    ledger.record_tool_call(**tool_call(tool_call_id="2"))
    assert [subject for subject, _ in found_by(ledger, "stale_allocation")] == ["allocation"]
    ledger.allocate()
    assert found_by(ledger, "stale_allocation") == []


def test_a_bill_that_was_never_allocated(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        add_charge(connection, add_delivery(connection), "1", "1")
    assert len(found_by(ledger, "stale_allocation")) == 1
