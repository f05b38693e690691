from __future__ import annotations

import pytest
from support import add_charge, add_delivery, query, raw, tool_call

from agent_ledger import Ledger


@pytest.mark.usefixtures("no_sources")
def test_it_changes_with_everything_that_takes_part(ledger: Ledger) -> None:
    seen: list[str] = []

    def is_new() -> bool:
        [(state,)] = query(ledger, "select state from allocation_state")
        seen.append(state)
        return state not in seen[:-1]

    assert is_new()
    with raw(ledger) as connection:
        add_charge(connection, add_delivery(connection), "1", "1")
    assert is_new()
    ledger.record_tool_call(**tool_call(tool_call_id="1", ts="2026-01-15T12:59:59Z"))
    assert is_new()
    ledger.record_tool_call(**tool_call(tool_call_id="2", ts="2026-01-15T13:00:00Z"))
    assert not is_new(), "after the bills"
    ledger.set_exchange_rate("EUR", 1)
    assert is_new()
    ledger.set_rule("r", method="none")
    assert is_new()
    ledger.set_tool_price("t", 1)
    assert is_new()
    with raw(ledger) as connection:
        connection.execute("update unit set factor = 1000 where name = 'KB'")
    assert is_new()
    with raw(ledger) as connection:
        add_delivery(connection, "empty")
    assert is_new(), "a bill of nothing counts instead"
