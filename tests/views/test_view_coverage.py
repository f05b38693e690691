from __future__ import annotations

from support import call, price, query, raw, spent

from agent_ledger import Ledger


def test_an_empty_ledger(ledger: Ledger) -> None:
    [row] = ledger.rows("coverage")
    assert row == {
        "calls": 0, "priced_calls": 0, "priced_call_share": None, "tokens": 0, "priced_tokens": 0,
        "priced_token_share": None, "estimated_calls": 0, "cost_usd": None, "team_cost_share": None,
        "feature_cost_share": None, "customer_cost_share": None, "first_ts": None, "last_ts": None,
        "billed_through": None,
    }  # fmt: skip


def test_given_rows_expected_row(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    spent(ledger)
    ledger.record_call(**call(request_id="5", prompt_tokens=0, completion_tokens=90, anomaly="odd", agent_id="b"))
    with raw(ledger) as connection:
        connection.execute(
            "insert into charge (charge_id, period_start, period_end, provider, cost)"
            " values ('c', '2026-01-01T00:00:00.000Z', '2026-02-01T00:00:00.000Z', 'aws', '1')"
        )
    [row] = ledger.rows("coverage")
    assert row == {
        "calls": 5, "priced_calls": 3, "priced_call_share": 0.6, "tokens": 425, "priced_tokens": 310,
        "priced_token_share": 310 / 425, "estimated_calls": 1, "cost_usd": 0.001, "team_cost_share": 0.55,
        "feature_cost_share": 0.55, "customer_cost_share": 0.25, "first_ts": "2026-01-15T12:00:00.000Z",
        "last_ts": "2026-02-02T00:00:00.000Z", "billed_through": "2026-02-01T00:00:00.000Z",
    }  # fmt: skip


def test_shares_never_exceed_one(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    """A sum of doubles over an exact sum is not 1 where everything is attributed."""
    ledger.assign("a", team="one", feature="f")
    ledger.record_calls(call(request_id=str(n), prompt_tokens=n * 37 + 1, customer_id="c") for n in range(1000))
    ledger.set_prices([price(input=1_234_567, output=1)])
    [row] = ledger.rows("coverage")
    assert (row["team_cost_share"], row["feature_cost_share"], row["customer_cost_share"]) == (1, 1, 1)


def test_it_is_one_row(ledger: Ledger) -> None:
    assert query(ledger, "select count(*) from coverage") == [(1,)]
