from __future__ import annotations

from support import call, query, raw, tool_call

from agent_ledger import Ledger

COLUMNS = "select id, call_id, request_id, agent_id, feature, customer_id from tool_attribution order by id"
RESPONSE = {"response_id": "response-0123456789abcdef"}


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.record_call(**call(customer_id="acme", feature="chat"))
    ledger.record_tool_call(**tool_call(tool_call_id="1"))
    ledger.record_tool_call(**tool_call(tool_call_id="2", agent_id="b", request_id="missing"))
    ledger.record_tool_call(**tool_call(tool_call_id="3", request_id=None))
    assert query(ledger, COLUMNS) == [
        (1, 1, "r", "a", "chat", "acme"),
        (2, None, "missing", "b", None, None),
        (3, None, None, "(unattributed)", None, None),
    ]


def test_another_account_of_the_response_takes_its_tool_calls_too(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.record_call(**call(request_id="of the log", evidence="log", **RESPONSE))
    ledger.record_tool_call(**tool_call(request_id="of the log"))
    ledger.record_call(**call(request_id="live", agent_id="b", evidence="response", **RESPONSE))
    assert query(ledger, COLUMNS) == [(1, 2, "live", "b", None, None)]


def test_rows_that_do_not_count_are_there_too(ledger: Ledger) -> None:
    ledger.record_tool_call(**tool_call())
    ledger.record_tool_call(**tool_call(status="ok"))
    with raw(ledger) as connection:
        assert connection.execute("select id from superseded_tool_call").fetchall() == [(1,)]
    assert [row[0] for row in query(ledger, COLUMNS)] == [1, 2]
