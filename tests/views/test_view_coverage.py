from __future__ import annotations

from billed import FEBRUARY, billed
from support import add_charge, add_delivery, call, price, query, raw, spent

from agent_ledger import Ledger

NO_BILL = {
    "tool_calls": 0, "uncosted_tool_calls": 0, "charges": 0, "charged_usd": None, "allocated_charge_share": None,
    "unallocated_usd": None, "unconverted_charges": 0, "billed_through": None,
}  # fmt: skip


def test_an_empty_ledger(ledger: Ledger) -> None:
    [row] = ledger.rows("coverage")
    assert row == {
        "calls": 0, "priced_calls": 0, "priced_call_share": None, "tokens": 0, "priced_tokens": 0,
        "priced_token_share": None, "estimated_calls": 0, "cost_usd": None, "team_cost_share": None,
        "feature_cost_share": None, "customer_cost_share": None, "first_ts": None, "last_ts": None, **NO_BILL,
    }  # fmt: skip


def test_given_rows_expected_row(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    spent(ledger)
    ledger.record_call(**call(request_id="5", prompt_tokens=0, completion_tokens=90, anomaly="odd", agent_id="b"))
    [row] = ledger.rows("coverage")
    assert row == {
        "calls": 5, "priced_calls": 3, "priced_call_share": 0.6, "tokens": 425, "priced_tokens": 310,
        "priced_token_share": 310 / 425, "estimated_calls": 1, "cost_usd": 0.001, "team_cost_share": 0.55,
        "feature_cost_share": 0.55, "customer_cost_share": 0.25, "first_ts": "2026-01-15T12:00:00.000Z",
        "last_ts": "2026-02-02T00:00:00.000Z", **NO_BILL,
    }  # fmt: skip


def test_tool_calls_and_bills(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    billed(ledger)
    [row] = ledger.rows("coverage")
    assert {name: row[name] for name in NO_BILL} == {
        "tool_calls": 4, "uncosted_tool_calls": 1, "charges": 4, "charged_usd": 2.5,
        "allocated_charge_share": 1 / 3,  # of 3 dollars, the credit aside
        "unallocated_usd": 1.5, "unconverted_charges": 1, "billed_through": "2026-02-02T00:00:00.000Z",
    }  # fmt: skip


def test_bills_reach_as_far_as_their_use(ledger: Ledger) -> None:
    """Taxes and fees are for the whole month on its first day; a later delivery counts, tokens are no cloud use."""
    month = {**FEBRUARY, "period_end": "2026-03-01T00:00:00.000Z"}
    with raw(ledger) as connection:
        add_charge(connection, add_delivery(connection, "earlier"), "1", "1", **month)
        delivery = add_delivery(connection, "later")
        add_charge(connection, delivery, "1", "1", **FEBRUARY)
        add_charge(connection, delivery, "2", "1", category="tax", **month)
        add_charge(connection, delivery, "3", "1", kind="llm", **month)
        add_charge(connection, delivery, "4", "1", **month)  # storage of the whole month, billed on its first day
    [row] = ledger.rows("coverage")
    assert (row["charges"], row["charged_usd"], row["billed_through"]) == (3, 3.0, "2026-02-02T00:00:00.000Z")


def test_a_bill_by_the_month_reaches_to_its_end(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        month = {**FEBRUARY, "period_end": "2026-03-01T00:00:00.000Z"}
        add_charge(connection, add_delivery(connection, "only"), "1", "1", **month)
    [row] = ledger.rows("coverage")
    assert row["billed_through"] == "2026-03-01T00:00:00.000Z"


def test_shares_never_exceed_one(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    """A sum of doubles over an exact sum is not 1 where everything is attributed."""
    ledger.assign("a", team="one", feature="f")
    ledger.record_calls(call(request_id=str(n), prompt_tokens=n * 37 + 1, customer_id="c") for n in range(1000))
    ledger.set_prices([price(input=1_234_567, output=1)])
    [row] = ledger.rows("coverage")
    assert (row["team_cost_share"], row["feature_cost_share"], row["customer_cost_share"]) == (1, 1, 1)


def test_it_is_one_row(ledger: Ledger) -> None:
    assert query(ledger, "select count(*) from coverage") == [(1,)]
