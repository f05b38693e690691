from __future__ import annotations

from typing import Any

import pytest
from support import call, price, spent

from agent_ledger import Ledger

pytestmark = pytest.mark.usefixtures("no_sources")

PRICES = price(
    input=1, cache_read=10, cache_write=100, cache_write_1h=1000, output=10**4, reasoning=10**5, web_search=10**7,
    request=10**9, units={"input_audio_tokens": 10**10 // 10**4, "pages": 10**8},
)  # fmt: skip


def test_given_rows_expected_rows(ledger: Ledger) -> None:
    spent(ledger)
    columns = ("request_id", "team", "feature", "owner", "cost_usd", "cost_picos", "cost_source", "price_source")
    assert [tuple(row[name] for name in columns) for row in ledger.rows("call_cost")] == [
        ("1", "one", "search", "zoe", 0.00025, 250_000_000, "computed", "contract"),
        ("2", "two", "search", "zoe", 0.0003, 300_000_000, "computed", "contract"),
        ("3", "two", "chat", "zoe", None, None, None, None),
        ("4", None, None, None, None, None, None, "contract"),
    ]


@pytest.mark.parametrize(
    ("changes", "picos"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 9}, 9 + 9 * 10**4),
        ({"prompt_tokens": 0, "completion_tokens": 0}, 0),
        ({"prompt_tokens": 9, "cache_read_tokens": 2, "completion_tokens": 0}, 7 + 20),
        ({"prompt_tokens": 9, "cache_write_tokens": 2, "completion_tokens": 0}, 7 + 200),
        (
            {"prompt_tokens": 9, "cache_write_tokens": 5, "cache_write_1h_tokens": 3, "completion_tokens": 0},
            4 + 200 + 3000,
        ),
        ({"prompt_tokens": 0, "completion_tokens": 9, "reasoning_tokens": 4}, 5 * 10**4 + 4 * 10**5),
        ({"prompt_tokens": 0, "completion_tokens": 0, "web_search_requests": 3}, 3 * 10**7),
        ({"prompt_tokens": 9, "completion_tokens": 0, "usage": {"input_audio_tokens": 4}}, 5 + 4 * 10**6),
        ({"prompt_tokens": 0, "completion_tokens": 0, "usage": {"pages": 2.5, "other": 7}}, 25 * 10**7),
    ],
)
def test_every_bucket_has_its_own_price(ledger: Ledger, changes: dict[str, Any], picos: int) -> None:
    ledger.record_call(**call(**changes))
    ledger.set_prices([PRICES])
    [row] = ledger.rows("call_cost")
    assert row["cost_picos"] == picos + 10**9
    parts = [name for name in row if name.endswith("_picos") and name != "cost_picos"]
    assert sum(row[name] for name in parts) == row["cost_picos"]
    assert (len(parts), row["request_picos"]) == (9, 10**9)


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt_tokens": None},
        {"completion_tokens": None},
        {"prompt_tokens": None, "completion_tokens": None},
        {"web_search_requests": 1},
        {"ts": "2025-12-31T23:59:59.999Z"},
        {"ts": "2026-03-01T00:00:00.000Z"},
        {"service_tier": "flex"},
        {"model": "n"},
    ],
)
def test_unknown_is_not_zero(ledger: Ledger, changes: dict[str, Any]) -> None:
    ledger.record_call(**call(**changes))
    start, end = "2026-01-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"
    ledger.set_prices([price(input=1, output=1, effective_from=start, effective_to=end)])
    [row] = ledger.rows("call_cost")
    assert (row["cost_usd"], row["cost_picos"], row["cost_source"]) == (None, None, None)


@pytest.mark.parametrize("ts", ["2026-01-01T00:00:00.000Z", "2026-02-28T23:59:59.999Z"])
def test_intervals_are_half_open(ledger: Ledger, ts: str) -> None:
    ledger.record_call(**call(ts=ts))
    start, end = "2026-01-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"
    ledger.set_prices([price(input=1, output=1, effective_from=start, effective_to=end)])
    assert ledger.rows("call_cost")[0]["cost_picos"] == 110


@pytest.mark.parametrize(("time", "picos"), [("07:59:59.999", 110), ("08:00:00.000", 220), ("22:00:00.000", 110)])
def test_hours_of_the_day(ledger: Ledger, time: str, picos: int) -> None:
    ledger.record_call(**call(ts=f"2026-01-15T{time}Z"))
    ledger.set_prices([price(input=1, output=1), price(input=2, output=2, time_from="08:00", time_to="22:00")])
    assert ledger.rows("call_cost")[0]["cost_picos"] == picos


@pytest.mark.parametrize(
    ("changes", "source", "picos"),
    [
        ({}, "computed", 110),
        ({"reported_cost_usd": 0.5}, "computed", 110),
        ({"anomaly": "odd"}, "estimated", 110),
        ({"anomaly": "odd", "reported_cost_usd": 0.5}, "reported", 5 * 10**11),
        ({"anomaly": "odd", "reported_cost_usd": 0}, "estimated", 110),
        ({"model": "n", "reported_cost_usd": 0.25}, "reported", 25 * 10**10),
        ({"model": "n", "reported_cost_usd": 0}, None, None),
        ({"prompt_tokens": None, "reported_cost_usd": 1}, "reported", 10**12),
        ({"tier_tokens": 1}, "estimated", 110),
        ({"tier_tokens": 1000}, "estimated", 1100),
        ({"tier_tokens": 100}, "computed", 110),
    ],
)
def test_where_a_cost_comes_from(
    ledger: Ledger, changes: dict[str, Any], source: str | None, picos: int | None
) -> None:
    ledger.record_call(**call(**changes))
    ledger.set_prices([price(input=1, output=1), price(input=10, output=10, above_tokens=500)])
    [row] = ledger.rows("call_cost")
    assert (row["cost_source"], row["cost_picos"]) == (source, picos)
    assert row["price_source"] == (None if source is None else "reported" if source == "reported" else "contract")
