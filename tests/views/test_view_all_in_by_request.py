from __future__ import annotations

from billed import all_in_rows, billed
from support import call, price, query, tool_call

from agent_ledger import Ledger

RESPONSE = "msg_01abcdefghijklmnopqrstuv"


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    billed(ledger)
    assert all_in_rows(ledger, "request") == {
        "1": (1, 1, 0.00025, 0.5, 0.50025, 0, 0),
        "2": (1, 1, 0.0003, 0.25, 0.2503, 0, 0),
        "3": (1, 1, None, 0.75, 0.75, 1, 0),
        "4": (1, 0, None, 0.0, None, 1, 0),
    }
    named = [(row["request_id"], row["agent_id"], row["customer_id"]) for row in ledger.rows("all_in_by_request")]
    assert sorted(named) == [("1", "a", "acme"), ("2", "a", None), ("3", "a", "acme"), ("4", "b", None)]


def test_who_made_a_request_of_several(ledger: Ledger) -> None:
    """The agent of the first LLM call, whatever the tool calls say."""
    ledger.record_tool_call(**tool_call(request_id="r", agent_id="helper", cost_usd=1))
    ledger.record_tool_call(**tool_call(request_id="alone", agent_id="helper", tool_call_id="2", cost_usd=1))
    ledger.record_call(**call(request_id="r", agent_id="first", response_id="1", customer_id="acme"))
    ledger.record_call(**call(request_id="r", agent_id="second", response_id="2", customer_id="beta"))
    rows = {row["request_id"]: (row["agent_id"], row["customer_id"]) for row in ledger.rows("all_in_by_request")}
    assert rows == {"r": ("first", "acme"), "alone": ("helper", None)}


def test_tool_calls_go_with_the_account_that_counts(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    """Two observers saw one response under ids of their own, a third a better one later; the cost is in one place."""
    shared = {"response_id": RESPONSE}
    ledger.record_call(**call(request_id="span", agent_id="(unattributed)", evidence="span", **shared))
    ledger.record_tool_call(**tool_call(request_id="span", tool_call_id="1", cost_usd=0.25))
    ledger.record_call(**call(request_id="log", evidence="log", **shared))
    ledger.record_tool_call(**tool_call(request_id="log", tool_call_id="2", cost_usd=0.5))
    ledger.record_call(**call(request_id="sdk", customer_id="acme", evidence="response", **shared))
    ledger.record_tool_call(**tool_call(request_id="sdk", tool_call_id="3", cost_usd=1))
    ledger.set_prices([price(input=2_000_000, output=5_000_000)])
    assert len(query(ledger, "select * from superseded_call")) == 2
    assert all_in_rows(ledger, "request") == {"sdk": (1, 3, 0.00025, 1.75, 1.75025, 0, 0)}
    assert all_in_rows(ledger, "agent") == {"a": (1, 3, 0.00025, 1.75, 1.75025, 0, 0)}
    assert all_in_rows(ledger, "customer") == {"acme": (1, 3, 0.00025, 1.75, 1.75025, 0, 0)}
    assert query(ledger, "select request_id from audit order by id") == [("span",), ("log",), ("sdk",)]
    assert ledger.rows("orphan_tool_calls") == []


def test_a_request_whose_other_call_counts_keeps_its_tool_calls(ledger: Ledger) -> None:
    ledger.record_call(**call(request_id="x", evidence="span", response_id=RESPONSE))
    ledger.record_call(**call(request_id="x", response_id="another"))
    ledger.record_call(**call(request_id="y", evidence="response", response_id=RESPONSE))
    ledger.record_tool_call(**tool_call(request_id="x"))
    found = {row["request_id"]: (row["calls"], row["tool_calls"]) for row in ledger.rows("all_in_by_request")}
    assert found == {"x": (1, 1), "y": (1, 0)}


def test_more_than_a_64_bit_sum_of_pico_dollars(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    whole = {"prompt_tokens": 10**9, "completion_tokens": 0}
    ledger.record_calls(call(response_id=str(number), **whole) for number in range(5))
    ledger.set_prices([price(input=4 * 10**9)])
    [row] = ledger.rows("all_in_by_request")
    assert (row["calls"], row["all_in_usd"]) == (5, 20_000_000.0)
