"""Every figure against an oracle that knows nothing of `rate` and the views, on generated ledgers; and real prices."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import add_prices, call, naive_cost, nearest_double, price, query, raw, temporary_ledger

from agent_ledger import Ledger, PriceRevision, plugins

AXES = {
    "cost_by_agent": "agent_id",
    "cost_by_team": "team",
    "cost_by_feature": "feature",
    "cost_by_customer": "customer_id",
    "cost_by_model": "model",
    "cost_by_day": "day",
    "cost_by_month": "month",
}
slow = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])

MOMENTS = [f"2026-0{month}-{day}T{time}Z" for month in (1, 2) for day in ("01", "15") for time in (
    "00:00:00.000", "07:59:59.999", "08:00:00.000", "23:59:59.999",
)]  # fmt: skip
EDGES = st.sampled_from([None, *MOMENTS])
AMOUNT = st.none() | st.integers(0, 75_000_000) | st.sampled_from([1, 3_000_000, 4_000_000_000])
UNIT = st.sampled_from(["input_audio_tokens", "cache_audio_read_tokens", "output_audio_tokens", "rerank_units"])


def draw_bases(draw: st.DrawFn) -> Iterator[PriceRevision]:
    """One price list: a base row, perhaps with long-context bands and a part of the day with its own prices."""
    source = draw(st.sampled_from(["x", "y"]))
    scope: dict[str, Any] = {
        "model": draw(st.sampled_from(["m", "m", "m-2", "m*", "m[1m]", "?-2"])),
        "source": source,
        "priority": draw(st.sampled_from([10, 50, 100])),
        "provider": draw(st.sampled_from([None, "p"])),
        "service_tier": draw(st.sampled_from([None, "batch", "Default"])),
        "region": draw(st.sampled_from([None, None, "us"])),
    }
    edges = draw(st.tuples(EDGES, EDGES))
    if None not in edges and edges[0] >= edges[1]:
        edges = (edges[0], None)
    scope |= {"effective_from": edges[0], "effective_to": edges[1]}
    if draw(st.integers(0, 6)) == 0:
        yield PriceRevision(**scope, discount=draw(st.sampled_from([Decimal("0.15"), Decimal("0.333")])))
        return
    windows = draw(st.sampled_from([[None], [None], [None, ("08:00", "23:00")], [None, ("22:00", "08:00")]]))
    for window in windows:
        times = {} if window is None else {"time_from": window[0], "time_to": window[1]}
        for above in [None, *draw(st.sampled_from([[], [], [200], [100, 300]]))]:
            yield PriceRevision(
                **scope,
                **times,
                above_tokens=above,
                comparator=draw(st.sampled_from(["gt", "ge"])) if above is not None else "gt",
                input=draw(AMOUNT),
                cache_read=draw(AMOUNT),
                cache_write=draw(AMOUNT),
                cache_write_1h=draw(AMOUNT),
                output=draw(AMOUNT),
                reasoning=draw(AMOUNT),
                web_search=draw(st.none() | st.just(10_000_000_000)),
                request=draw(st.none() | st.just(5_000_000_000)),
                units=draw(st.none() | st.dictionaries(UNIT, st.integers(0, 100_000_000), max_size=2)),
            )


@st.composite
def price_lists(draw: st.DrawFn) -> list[list[PriceRevision]]:
    return [list(draw_bases(draw)) for _ in range(draw(st.integers(1, 5)))]


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    prompt = draw(st.none() | st.integers(0, 400) | st.sampled_from([100, 101, 200, 201, 300, 301, 1_000_000_000]))
    completion = draw(st.none() | st.integers(0, 400))
    reads = draw(st.none() | st.integers(0, prompt or 0))
    writes = draw(st.none() | st.integers(0, (prompt or 0) - (reads or 0)))
    return call(
        agent_id=draw(st.sampled_from(["a", "b", "c"])),
        request_id=draw(st.text("rst", min_size=6, max_size=6)),
        model=draw(st.sampled_from(["m", "m-2", "m[1m]", "unknown"])),
        provider=draw(st.sampled_from([None, "p", "P", "q"])),
        customer_id=draw(st.sampled_from([None, "acme", "beta"])),
        feature=draw(st.sampled_from([None, None, "chat"])),
        service_tier=draw(st.sampled_from([None, "standard", "batch", "flex"])),
        region=draw(st.sampled_from([None, "us", "global"])),
        ts=draw(st.sampled_from(MOMENTS)),
        prompt_tokens=prompt,
        completion_tokens=completion,
        cache_read_tokens=reads,
        cache_write_tokens=writes,
        cache_write_1h_tokens=draw(st.none() | st.integers(0, writes or 0)),
        reasoning_tokens=draw(st.none() | st.integers(0, completion or 0)),
        web_search_requests=draw(st.sampled_from([None, None, 0, 3])),
        tier_tokens=draw(st.sampled_from([None, None, None, 0, 201])),
        anomaly=draw(st.sampled_from([None, None, None, "parts exceed the whole"])),
        reported_cost_usd=draw(st.sampled_from([None, None, 0, 0.0, 0.25, 1.1, 123.456789])),
        usage=draw(st.none() | st.dictionaries(UNIT, st.integers(0, 500), max_size=2)),
    )


@pytest.fixture(autouse=True, scope="module")
def offline_sources() -> Iterator[None]:
    """Property tests price by their own rows only; tests with real prices ask for `real_prices`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "price_sources", list)
        yield


def fill(ledger: Ledger, lists: list[list[PriceRevision]], facts: list[dict[str, Any]]) -> None:
    ledger.record_calls(facts)
    for index, rows in enumerate(lists):
        add_prices(ledger, *rows, recorded_at=f"2026-01-{index + 1:02}T00:00:00.000Z")


@slow
@given(price_lists(), st.lists(calls(), min_size=1, max_size=12))
def test_every_call_costs_what_the_oracle_says(lists: list[list[PriceRevision]], facts: list[dict[str, Any]]) -> None:
    with temporary_ledger() as ledger:
        fill(ledger, lists, facts)
        found = {row["id"]: row for row in ledger.rows("call_cost")}
        expected = naive_cost(ledger)
        assert {id_: row["cost_picos"] for id_, row in found.items()} == expected
        for id_, row in found.items():
            picos = expected[id_]
            assert row["cost_usd"] == (None if picos is None else nearest_double(picos))
            assert (row["cost_source"] is None) == (row["price_source"] is None) or row["cost_picos"] is None
            if row["cost_source"] in ("computed", "estimated"):
                parts = (amount for name, amount in row.items() if name.endswith("_picos") and name != "cost_picos")
                assert sum(parts) == picos
        check_focus(ledger, expected)


def check_focus(ledger: Ledger, expected: dict[int, int | None]) -> None:
    rows = ledger.rows("focus")
    assert sum(row["x_BilledPicos"] for row in rows) == sum(picos or 0 for picos in expected.values())
    for row in rows:
        assert row["PricingUnit"] == "USD" or int(row["PricingQuantity"]) * row["x_UnitPicos"] == row["x_BilledPicos"]


@pytest.mark.slow
@slow
@given(price_lists(), st.lists(calls(), min_size=1, max_size=12))
def test_every_axis_sums_to_the_calls(lists: list[list[PriceRevision]], facts: list[dict[str, Any]]) -> None:
    with temporary_ledger() as ledger:
        fill(ledger, lists, facts)
        ledger.assign("a", team="one", feature="search")
        ledger.assign("a", team="two", valid_from="2026-02-01")
        ledger.assign("b", team="two", owner="o")
        check_axes(ledger)


def check_axes(ledger: Ledger) -> None:
    oracle = naive_cost(ledger)
    every = ledger.rows("call_cost")
    for row in every:
        row |= {"day": row["ts"][:10], "month": row["ts"][:7]}
    cube = ledger.rows("daily_cost")
    assert sum((row["cost_4096ths"] or 0) * 244140625 + (row["cost_picos"] or 0) for row in cube) == sum(
        picos or 0 for picos in oracle.values()
    )
    for row in cube:
        if row["cost_usd"] is not None:
            assert row["cost_usd"] == nearest_double(row["cost_4096ths"] * 244140625 + row["cost_picos"])
    for view, key in AXES.items():
        rows = ledger.rows(view)
        parts: dict[str, list[dict[str, Any]]] = {}
        for row in every:
            parts.setdefault(row[key] or "(unattributed)", []).append(row)
        assert {row[key] for row in rows} == set(parts), view
        for row in rows:
            mine = parts[row[key]]
            costs = [oracle[one["id"]] for one in mine]
            known = [picos for picos in costs if picos is not None]
            assert row["calls"] == len(mine), view
            assert row["unpriced_calls"] == costs.count(None), view
            assert row["cost_usd"] == (nearest_double(sum(known)) if known else None), (view, row)
            for column in ("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens"):
                amounts = [one[column] for one in mine if one[column] is not None]
                assert (row[column] or 0) == sum(amounts), (view, column)


@pytest.mark.slow
@slow
@given(price_lists(), st.lists(calls(), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_recording_twice_and_in_any_order_changes_nothing(
    lists: list[list[PriceRevision]], facts: list[dict[str, Any]], chance: random.Random
) -> None:
    facts = list({fact["request_id"]: fact for fact in facts}.values())
    with temporary_ledger() as once, temporary_ledger() as twice:
        fill(once, lists, facts)
        shuffled = [*facts, *facts]
        chance.shuffle(shuffled)
        fill(twice, lists, shuffled)
        for view in ("daily_cost", *AXES):
            assert once.rows(view) == twice.rows(view)


@pytest.mark.parametrize("size", [300, 3_000, 100_000, 3_000_000])
def test_sums_are_the_nearest_double(size: int) -> None:
    """Adding two doubles rounds twice; a sum in dollars must still be the double nearest to the exact sum."""
    chance = random.Random(size)
    with temporary_ledger() as ledger:
        ledger.record_calls(
            call(request_id=f"{n}", agent_id=f"a{n % 60}", prompt_tokens=chance.randrange(size), completion_tokens=n)
            for n in range(500)
        )
        ledger.set_prices([price(input=chance.randrange(3_000_000), output=1_500_001)])
        check_axes(ledger)


@pytest.mark.parametrize("size", [2_000, 400_000, 2_000_000, 10**9])
def test_the_cost_of_a_call_is_the_nearest_double(ledger: Ledger, size: int) -> None:
    chance = random.Random(size)
    ledger.record_calls(
        call(request_id=f"{n}", prompt_tokens=chance.randrange(size), completion_tokens=0) for n in range(200)
    )
    ledger.set_prices([price(input=3_141_592)])
    for row in ledger.rows("call_cost"):
        assert row["cost_usd"] == nearest_double(row["cost_picos"])


def test_a_hundred_million_dollars_are_exact(ledger: Ledger) -> None:
    """64-bit pico-dollars would overflow at 9.2 million dollars; a sum of doubles would be off by cents."""
    ledger.record_calls(
        call(request_id=f"r{n}", prompt_tokens=999_999_937 - n, completion_tokens=7 * n) for n in range(60)
    )
    ledger.set_prices([price(input=1_999_999_993, output=3_999_999_979)])
    exact = sum(picos or 0 for picos in naive_cost(ledger).values())
    assert exact > 100_000_000 * 10**12
    [row] = ledger.rows("cost_by_agent")
    assert row["cost_usd"] == float(Decimal(exact) / 10**12)
    [day] = ledger.rows("daily_cost")
    assert day["cost_4096ths"] * 244140625 + day["cost_picos"] == exact
    [coverage] = ledger.rows("coverage")
    assert abs(Fraction(coverage["cost_usd"]) - Fraction(exact, 10**12)) < Fraction(1, 10**6)


def test_the_largest_possible_call_does_not_overflow(ledger: Ledger) -> None:
    whole = {"prompt_tokens": 10**9, "completion_tokens": 10**9, "web_search_requests": 10**5}
    ledger.record_call(**call(**whole))
    ledger.set_prices([price(input=4 * 10**9, output=4 * 10**9, web_search=10**12, request=10**12)])
    [row] = ledger.rows("call_cost")
    assert row["cost_picos"] == 2 * 4 * 10**18 + 10**17 + 10**12


@pytest.fixture
def real_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list prices of genai-prices, as anybody has them."""
    from agent_ledger.prices.genai import GenaiPrices

    monkeypatch.setattr(plugins, "price_sources", lambda: [GenaiPrices()])


def dollars(ledger: Ledger, **fields: Any) -> Decimal | None:
    """What a call costs at the list price."""
    ledger.record_call(**call(provider="anthropic", **fields))
    [row] = ledger.rows("call_cost", request_id=fields.get("request_id", "r"))
    picos = row["cost_picos"]
    return None if picos is None else Decimal(picos) / 10**12


@pytest.mark.usefixtures("real_prices")
class TestRealPrices:
    """Cases C01 … of research/peers.md, by the names that the providers use."""

    def test_c01_cache_writes_are_not_counted_twice(self, ledger: Ledger) -> None:
        cost = dollars(
            ledger,
            model="claude-3-7-sonnet-20250219",
            ts="2025-06-01T00:00:00Z",
            prompt_tokens=3 + 12_304,
            cache_write_tokens=12_304,
            cache_read_tokens=0,
            completion_tokens=550,
        )
        assert cost == Decimal("0.054399")

    @pytest.mark.parametrize(
        ("hour", "expected"), [(400_000, "7.75"), (600_000, "8.50"), (0, "6.25"), (1_000_000, "10")]
    )
    def test_c09_writes_of_an_hour_have_their_own_price(self, ledger: Ledger, hour: int, expected: str) -> None:
        cost = dollars(
            ledger,
            model="claude-opus-4-8",
            ts="2026-11-01T00:00:00Z",
            prompt_tokens=1_000_000,
            cache_write_tokens=1_000_000,
            cache_write_1h_tokens=hour,
            completion_tokens=0,
        )
        assert cost == Decimal(expected)

    def test_c12_cached_input_costs_less(self, ledger: Ledger) -> None:
        plain = dollars(ledger, model="claude-sonnet-4-5", prompt_tokens=1000, request_id="plain")
        cached = dollars(
            ledger, model="claude-sonnet-4-5", prompt_tokens=1000, cache_read_tokens=900, request_id="cached"
        )
        assert plain == Decimal("0.00315")
        assert cached == Decimal("0.00072")

    @pytest.mark.parametrize(
        ("provider", "model", "threshold", "inclusive"),
        [
            ("google", "gemini-2.5-pro", 200_000, False),
            ("openai", "gpt-5.4", 272_000, False),
            ("x-ai", "grok-4.20-0309-reasoning", 200_000, True),
        ],
    )
    def test_c44_the_long_tier_begins_where_the_provider_says(
        self, ledger: Ledger, provider: str, model: str, threshold: int, inclusive: bool
    ) -> None:
        for tokens in (threshold - 1, threshold, threshold + 1):
            fields = {"model": model, "prompt_tokens": tokens, "completion_tokens": 0, "ts": "2026-11-01T00:00:00Z"}
            ledger.record_call(**call(provider=provider, request_id=str(tokens), **fields))
        below, at, above = (Fraction(row["cost_picos"], row["prompt_tokens"]) for row in ledger.rows("call_cost"))
        assert below < above
        assert at == (above if inclusive else below)

    def test_c45_all_tokens_of_a_long_request_cost_the_long_rate(self, ledger: Ledger) -> None:
        cost = dollars(
            ledger,
            model="claude-sonnet-4-5",
            ts="2025-11-01T00:00:00Z",
            prompt_tokens=300_000,
            completion_tokens=1000,
        )
        assert cost == Decimal("1.8") + Decimal("0.0225")

    def test_c46_cached_tokens_select_the_tier_too(self, ledger: Ledger) -> None:
        def rate(tokens: int, cached: int) -> int:
            id_ = f"{tokens}/{cached}"
            ledger.record_call(
                **call(
                    provider="openai",
                    model="gpt-5.4",
                    request_id=id_,
                    prompt_tokens=tokens,
                    cache_read_tokens=cached,
                    completion_tokens=1000,
                    ts="2026-11-01T00:00:00Z",
                )
            )
            return int(ledger.rows("call_cost", request_id=id_)[0]["cost_picos"])

        long, short = rate(270_540 + 7_936, 7_936), rate(270_540, 7_936)
        [base] = ledger.rows("price", model="gpt-5.4")
        picos = {name: round(base[f"{name}_price"] * 1e12) for name in ("input", "cache_read", "output")}
        assert short == (270_540 - 7_936) * picos["input"] + 7_936 * picos["cache_read"] + 1000 * picos["output"]
        assert long == 2 * (270_540 * picos["input"] + 7_936 * picos["cache_read"]) + 1500 * picos["output"]

    def test_c47_a_sum_of_calls_is_not_one_long_call(self, ledger: Ledger) -> None:
        for id_ in "12":
            dollars(
                ledger, model="claude-sonnet-4-5", prompt_tokens=150_000, completion_tokens=0, request_id=id_,
            )  # fmt: skip
        [row] = ledger.rows("cost_by_model")
        assert row["cost_usd"] == 0.9

    def test_c50_inference_geo_us_costs_a_tenth_more_but_not_for_searches(self, ledger: Ledger) -> None:
        fields: dict[str, Any] = {"prompt_tokens": 10_000, "cache_read_tokens": 2_000, "completion_tokens": 100}
        plain = dollars(ledger, model="claude-sonnet-4-6", request_id="plain", **fields)
        for region in ("global", "not_available"):
            assert dollars(ledger, model="claude-sonnet-4-6", request_id=region, region=region, **fields) == plain
        assert plain is not None
        us = dollars(ledger, model="claude-sonnet-4-6", request_id="us", region="us", **fields)
        assert us == plain * Decimal("1.1")
        searched = dollars(
            ledger, model="claude-sonnet-4-6", request_id="s", region="us", web_search_requests=3, **fields
        )
        assert searched == us + Decimal("0.03")

    def test_c50_older_models_have_no_uplift(self, ledger: Ledger) -> None:
        plain = dollars(ledger, model="claude-sonnet-4-5", request_id="plain")
        assert dollars(ledger, model="claude-sonnet-4-5", request_id="us", region="us") == plain

    def test_c53_batch_halves_the_long_rate_and_the_cache(self, ledger: Ledger) -> None:
        fields: dict[str, Any] = {"prompt_tokens": 300_000, "cache_read_tokens": 100_000, "completion_tokens": 100}
        plain = dollars(ledger, model="claude-sonnet-4-5", request_id="plain", **fields)
        batch = dollars(ledger, model="claude-sonnet-4-5", request_id="b", service_tier="batch", **fields)
        assert plain is not None
        assert batch == plain / 2

    def test_c54_web_searches_are_added(self, ledger: Ledger) -> None:
        cost = dollars(ledger, model="claude-sonnet-4-5", prompt_tokens=0, completion_tokens=0, web_search_requests=10)
        assert cost == Decimal("0.1")

    def test_c78_c79_inferences_of_one_response_are_added(self, ledger: Ledger) -> None:
        shared: dict[str, Any] = {"model": "claude-sonnet-4-6", "response_id": "msg_1", "agent_id": "a", "ts": None}
        ledger.record_calls(
            {**call(provider="anthropic", **shared), **part}
            for part in (
                {"request_id": "c79", "part": 0, "prompt_tokens": 55_196, "completion_tokens": 125},
                {"request_id": "c79", "part": 1, "prompt_tokens": 220, "completion_tokens": 8},
                {
                    "request_id": "c78",
                    "part": 0,
                    "prompt_tokens": 100 + 55_096,
                    "cache_read_tokens": 55_096,
                    "completion_tokens": 83,
                },
                {"request_id": "c78", "part": 1, "prompt_tokens": 181, "completion_tokens": 8},
            )
        )
        found = query(ledger, "select request_id, sum(cost_picos) from call_cost group by 1 order by 1")
        assert found == [("c78", 18_736_800_000), ("c79", 168_243_000_000)]

    def test_c80_an_advisor_is_priced_as_its_own_model(self, ledger: Ledger) -> None:
        ts = "2026-08-01T00:00:00Z"
        ledger.record_calls(
            [
                call(
                    provider="anthropic", model="claude-sonnet-5", ts=ts,
                    prompt_tokens=2_390, completion_tokens=121, response_id="msg_1",
                ),
                call(
                    provider="anthropic", model="claude-opus-4-8", ts=ts, part=1,
                    prompt_tokens=2_518, completion_tokens=22, response_id="msg_1",
                ),
            ]
        )  # fmt: skip
        [(total,)] = query(ledger, "select sum(cost_picos) from call_cost")
        assert total == 5_990_000_000 + 13_140_000_000

    def test_c34_an_unknown_model_has_no_cost(self, ledger: Ledger) -> None:
        assert dollars(ledger, model="claude-nobody-knows-9") is None
        [row] = ledger.rows("cost_by_agent")
        assert (row["cost_usd"], row["unpriced_calls"]) == (None, 1)

    def test_the_first_statement_of_the_contract_runs(self, ledger: Ledger) -> None:
        dollars(ledger, model="claude-sonnet-4-5", prompt_tokens=1200, completion_tokens=300)
        with raw(ledger) as connection:
            found = connection.execute(
                """
    SELECT agent_id, SUM(prompt_tokens * input_price + completion_tokens * output_price)
    FROM ledger JOIN price ON ledger.model = price.model GROUP BY agent_id"""
            ).fetchall()
        assert found == [("a", pytest.approx(0.0081, abs=1e-15))]
