from __future__ import annotations

from support import call, price

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.record_calls(
        [
            call(request_id="1", model="new", ts="2026-01-02"),
            call(request_id="2", model="new", ts="2026-01-01", prompt_tokens=5),
            call(request_id="3", model="new", provider="p", service_tier="flex", region="us"),
            call(request_id="4"),
            call(request_id="5", prompt_tokens=None),
            call(request_id="6", model="new", reported_cost_usd=0.5),
        ]
    )
    ledger.set_prices([price(input=1, output=1)])
    found = {
        (row["provider"], row["model"], row["service_tier"], row["region"]): tuple(row.values())[4:9]
        for row in ledger.rows("unpriced_calls")
    }
    noon = "2026-01-15T12:00:00.000Z"
    assert found == {
        ("(unattributed)", "new", None, None): (
            2, 105, 20, "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z",
        ),
        ("p", "new", "flex", "us"): (1, 100, 10, noon, noon),
        ("(unattributed)", "m", None, None): (1, None, 10, noon, noon),
    }  # fmt: skip
    assert all(row["reason"] for row in ledger.rows("unpriced_calls"))
