from __future__ import annotations

from decimal import Decimal

from support import add_prices, price

from agent_ledger import Ledger


def test_given_rows_expected_rows(ledger: Ledger) -> None:
    add_prices(
        ledger,
        price(
            input=3_000_000, cache_read=300_000, cache_write=3_750_000, cache_write_1h=6_000_000, output=15_000_000,
            web_search=10**10, request=5 * 10**9, provider="p", service_tier="batch", region="us",
            time_from="22:00", time_to="08:00", source_model="M", basis="published",
        ),
        price(input=1, above_tokens=200_000, comparator="gt", effective_from="2026-01-01T00:00:00.000Z"),
        price(input=0, above_tokens=200_000, comparator="ge", effective_to="2026-01-01T00:00:00.000Z"),
        price(discount=Decimal("0.15")),
    )  # fmt: skip
    first, above, at, discount = ledger.rows("price_history")
    assert first == {
        "id": 1, "model": "m", "provider": "p", "service_tier": "batch", "region": "us", "effective_from": None,
        "effective_to": None, "hours": "22:00-08:00", "above_tokens": None, "input_usd_mtok": 3.0,
        "cache_read_usd_mtok": 0.3, "cache_write_usd_mtok": 3.75, "cache_write_1h_usd_mtok": 6.0,
        "output_usd_mtok": 15.0, "web_search_usd": 0.01, "request_usd": 0.005, "discount": None, "source": "contract",
        "source_model": "M", "basis": "published", "recorded_at": "2026-01-01T00:00:00.000Z",
    }  # fmt: skip
    assert (above["above_tokens"], above["input_usd_mtok"], above["hours"]) == (200_000, 1e-6, None)
    assert (at["above_tokens"], at["input_usd_mtok"]) == (199_999, 0)
    assert (discount["discount"], discount["input_usd_mtok"]) == ("0.15", None)
