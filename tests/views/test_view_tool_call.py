from __future__ import annotations

import pytest
from support import call, query, tool_call

from agent_ledger import Ledger

pytestmark = pytest.mark.usefixtures("no_sources")


def test_who_called_for_whom(ledger: Ledger) -> None:
    ledger.assign("a", team="one", feature="search", owner="zoe")
    ledger.assign("a", team="two", valid_from="2026-02-01")
    ledger.record_call(**call(request_id="r", customer_id="acme"))
    ledger.record_call(**call(request_id="f", feature="chat"))
    ledger.record_tool_call(**tool_call(tool_call_id="1"))
    ledger.record_tool_call(**tool_call(tool_call_id="2", request_id="f", ts="2026-02-01T00:00:00Z"))
    ledger.record_tool_call(**tool_call(tool_call_id="3", agent_id="b", request_id="r"))
    ledger.record_tool_call(**tool_call(tool_call_id="4", request_id=None))
    found = query(ledger, "select tool_call_id, agent_id, team, feature, owner, customer_id from tool_call order by id")
    assert found == [
        ("1", "a", "one", "search", "zoe", "acme"),
        ("2", "a", "two", "chat", "zoe", None),
        ("3", "b", None, None, None, "acme"),
        ("4", "(unattributed)", None, None, None, None),
    ]


def test_only_the_account_that_counts(ledger: Ledger) -> None:
    ledger.record_tool_call(**tool_call())
    ledger.record_tool_call(**tool_call(status="error", duration_ms=5))
    assert query(ledger, "select count(*) from audit") == [(2,)]
    assert query(ledger, "select status, duration_ms from tool_call") == [("error", 5)]
