from __future__ import annotations

from support import add_prices, call, price

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.record_calls(
        [
            call(request_id="1", service_tier="batch"),
            call(request_id="2", model="two", provider="p"),
            call(request_id="3", model="two", provider="q"),
            call(request_id="4", model="old"),
            call(request_id="5", model="none"),
        ]
    )
    add_prices(
        ledger,
        price(input=3_000_000, output=15_000_000, cache_read=300_000, web_search=10**10,
              effective_from="2026-01-01T00:00:00.000Z"),
        price(input=1, output=1, service_tier="batch"),
        price("two", provider="p", input=2, output=4, cache_write=3, cache_write_1h=5),
        price("two", provider="p", input=200, output=400, above_tokens=10),
        price("two", provider="q", input=9, output=9),
        price("old", input=1, output=1, effective_to="2026-01-01T00:00:00.000Z"),
    )  # fmt: skip
    rows = [tuple(row.values()) for row in ledger.rows("price")]
    assert rows == [
        ("m", None, 3e-6, 1.5e-5, 3e-7, 3e-6, 3e-6, 0.01, "contract", "2026-01-01T00:00:00.000Z"),
        ("two", "p", 2e-12, 4e-12, 2e-12, 3e-12, 5e-12, None, "contract", "0001-01-01T00:00:00.000Z"),
    ]
