"""resolve(): no two rates ever hold at once, and what holds is what a chooser says that looks at one moment only."""

from __future__ import annotations

from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_ledger.pricing import MAX_TOKENS, Rate, RateKey, resolve
from agent_ledger.records import PriceRevision

MONTHS = [f"2026-0{month}-01T00:00:00.000Z" for month in range(1, 6)]
TIMES = ["00:00", "06:30", "08:00", "16:30", "22:00", "23:59"]
TOKENS = [0, 1, 99, 100, 101, 199, 200, 201, 10**9]


def row(model: str = "m", **fields: Any) -> PriceRevision:
    defaults = {"source": "s", "priority": 10, "recorded_at": MONTHS[0], "id": 1, "input": 1, "output": 2}
    return PriceRevision(model=model, **{**defaults, **fields})


def at(
    key: RateKey, rows: list[PriceRevision], moment: str = MONTHS[1], time: str = "12:00", tokens: int = 0
) -> Rate | None:
    """The only rate that holds then."""
    found = [
        rate
        for rate in resolve(key, rows)
        if rate.valid_from <= moment < rate.valid_to
        and rate.time_from <= time < rate.time_to
        and rate.min_tokens <= tokens < rate.max_tokens
    ]
    assert len(found) <= 1
    return found[0] if found else None


@st.composite
def price_lists(draw: st.DrawFn, number: int) -> list[PriceRevision]:
    edges = draw(st.tuples(st.sampled_from([None, *MONTHS]), st.sampled_from([None, *MONTHS])))
    if None not in edges and edges[0] >= edges[1]:
        edges = (None, edges[1])
    scope: dict[str, Any] = {
        "model": draw(st.sampled_from(["m", "m*", "?", "*", "m[1m]", "n"])),
        "provider": draw(st.sampled_from([None, "p", "P", "q"])),
        "service_tier": draw(st.sampled_from([None, "standard", "batch"])),
        "region": draw(st.sampled_from([None, "us"])),
        "priority": draw(st.sampled_from([10, 100])),
        "recorded_at": draw(st.sampled_from(MONTHS)),
        "source": f"s{number}",
        "effective_from": edges[0],
        "effective_to": edges[1],
        "id": number,
    }
    if draw(st.integers(0, 5)) == 0:
        return [PriceRevision(**scope, discount=Decimal("0.25"))]
    windows = draw(st.lists(st.tuples(st.sampled_from(TIMES), st.sampled_from(TIMES)), max_size=1))
    windows = [window for window in windows if window[0] != window[1]]
    base = draw(st.booleans())
    rows = []
    for window in [None, *windows] if base or not windows else windows:
        times = {} if window is None else {"time_from": window[0], "time_to": window[1]}
        for above in [None, *draw(st.sampled_from([[], [100], [100, 200]]))]:
            comparator = draw(st.sampled_from(["gt", "ge"]))
            price = draw(st.integers(1, 9))
            rows.append(
                PriceRevision(
                    **scope, **times, above_tokens=above, comparator=comparator, input=price, output=10 * price
                )
            )
    return rows


def choose(
    key: RateKey, rows: list[PriceRevision], moment: str, time: str, tokens: int
) -> tuple[str, int | None] | None:
    """Source and input price at one moment, by looking through everything."""
    holding = [one for one in rows if _relevant(one, key) and (one.effective_from or "") <= moment]
    holding = [one for one in holding if moment < (one.effective_to or "~")]
    if not holding:
        return None
    first = max(holding, key=_precedence)
    lists = [one for one in holding if _precedence(one) == _precedence(first)]
    if first.discount is not None:
        under = choose(key, [one for one in rows if one.discount is None], moment, time, tokens)
        if under is None or under[1] is None:
            return None
        return first.source, round(under[1] * (1 - first.discount))
    inside = [one for one in lists if one.time_from and one.time_to and _in(time, one.time_from, one.time_to)]
    candidates = inside or [one for one in lists if one.time_from is None]
    reached = [
        one
        for one in candidates
        if one.above_tokens is None or tokens > one.above_tokens or (one.comparator, tokens) == ("ge", one.above_tokens)
    ]
    if not reached:
        return None
    best = max(reached, key=lambda one: -1 if one.above_tokens is None else one.above_tokens)
    return best.source, best.input


def _in(time: str, start: str, end: str) -> bool:
    return start <= time < end if start < end else time >= start or time < end


def _relevant(one: PriceRevision, key: RateKey) -> bool:
    standard = {"", "standard", "default", "auto", "on_demand", "on-demand"}
    names = {"m*": key.model.startswith("m"), "?": len(key.model) == 1, "*": True}
    if not names.get(one.model, one.model == key.model):
        return False
    if (one.provider or key.provider).lower() != key.provider.lower() or (one.region or key.region) != key.region:
        return False
    if one.discount is not None and one.service_tier is None:
        return True
    if (one.service_tier or "") in standard:
        return key.service_tier in standard
    return one.service_tier == key.service_tier


def _precedence(one: PriceRevision) -> tuple[Any, ...]:
    wild = "*" in one.model or "?" in one.model
    specific = (one.region is not None, not wild, len(one.model), one.model, one.provider is not None)
    return (one.priority, *specific, one.recorded_at, one.source)


KEYS = [
    RateKey(model, provider, tier, region)
    for model in ("m", "m[1m]", "n")
    for provider, tier, region in (("", "", ""), ("p", "", "us"), ("p", "batch", ""), ("q", "auto", "eu"))
]


@settings(max_examples=150)
@given(st.data())
def test_exactly_one_rate_or_none_holds_at_any_moment(data: st.DataObject) -> None:
    rows = [
        one for number in range(1, data.draw(st.integers(1, 6)) + 1) for one in data.draw(price_lists(number=number))
    ]
    key = data.draw(st.sampled_from(KEYS))
    rates = resolve(key, rows)
    for one, other in combinations(rates, 2):
        apart = (
            one.valid_to <= other.valid_from
            or other.valid_to <= one.valid_from
            or one.time_to <= other.time_from
            or other.time_to <= one.time_from
            or one.max_tokens <= other.min_tokens
            or other.max_tokens <= one.min_tokens
        )
        assert apart, (one, other)
    assert resolve(key, list(reversed(rows))) == rates
    for moment in [*MONTHS, "2025-12-31T23:59:59.999Z", "2026-02-28T23:59:59.999Z"]:
        for time in [*TIMES, "12:00", "06:29"]:
            for tokens in TOKENS:
                found = at_in(rates, moment, time, tokens)
                expected = choose(key, rows, moment, time, tokens)
                assert (None if found is None else (found.price_source, found.input)) == expected


def at_in(rates: list[Rate], moment: str, time: str, tokens: int) -> Rate | None:
    found = [
        rate
        for rate in rates
        if rate.valid_from <= moment < rate.valid_to
        and rate.time_from <= time < rate.time_to
        and rate.min_tokens <= tokens < rate.max_tokens
    ]
    assert len(found) <= 1
    return found[0] if found else None


def test_no_revisions_no_rates() -> None:
    assert resolve(RateKey("m"), []) == []
    assert resolve(RateKey("m"), [row("other")]) == []


def test_one_open_row_holds_for_ever() -> None:
    [rate] = resolve(RateKey("m"), [row()])
    assert (rate.valid_from[:4], rate.valid_to[:4], rate.time_from, rate.time_to) == ("0001", "9999", "00:00", "24:00")
    assert (rate.min_tokens, rate.max_tokens) == (0, MAX_TOKENS)


def test_buckets_without_a_price_cost_what_contains_them() -> None:
    [rate] = resolve(RateKey("m"), [row(input=4, output=8)])
    assert (rate.cache_read, rate.cache_write, rate.cache_write_1h, rate.reasoning) == (4, 4, 4, 8)
    assert (rate.web_search, rate.request) == (None, 0)
    [rate] = resolve(RateKey("m"), [row(input=4, cache_write=5, output=8)])
    assert rate.cache_write_1h == 5


def test_zero_is_a_price_and_none_is_not() -> None:
    [rate] = resolve(RateKey("m"), [row(input=4, cache_read=0, cache_write=0, cache_write_1h=0, reasoning=0)])
    assert (rate.cache_read, rate.cache_write, rate.cache_write_1h, rate.reasoning) == (0, 0, 0, 0)


@pytest.mark.parametrize(("comparator", "at_threshold"), [("gt", 1), ("ge", 5)])
def test_the_comparator_decides_about_the_threshold(comparator: str, at_threshold: int) -> None:
    rows = [row(input=1), row(input=5, above_tokens=200_000, comparator=comparator)]
    prices = [at(RateKey("m"), rows, tokens=tokens) for tokens in (199_999, 200_000, 200_001)]
    assert [rate and rate.input for rate in prices] == [1, at_threshold, 5]


def test_a_window_over_midnight() -> None:
    rows = [row(input=4), row(input=1, time_from="22:00", time_to="08:00")]
    prices = {time: at(RateKey("m"), rows, time=time) for time in ("21:59", "22:00", "00:00", "07:59", "08:00")}
    assert [rate and rate.input for rate in prices.values()] == [4, 1, 1, 1, 4]


def test_a_discount_lowers_every_bucket_and_band_of_the_list_and_names_its_row() -> None:
    rows = [
        row(input=1000, cache_read=101, output=3, web_search=10, request=7, units={"pages": 50}, id=1),
        row(input=2000, output=6, above_tokens=100, id=2),
        row("m*", discount=Decimal("0.15"), input=None, output=None, priority=100, source="contract", id=3),
    ]
    rate = at(RateKey("m"), rows)
    assert rate is not None
    assert (rate.input, rate.cache_read, rate.output, rate.web_search, rate.request) == (850, 86, 3, 8, 6)
    assert rate.units == {"pages": 42}
    assert (rate.price_source, rate.price_id) == ("contract", 3)
    long = at(RateKey("m"), rows, tokens=101)
    assert long is not None
    assert long.input == 1700


def test_a_discount_without_a_list_price_is_no_price() -> None:
    assert resolve(RateKey("m"), [row(discount=Decimal("0.15"), input=None, output=None)]) == []


def test_a_discount_holds_for_every_tier_unless_it_names_one() -> None:
    batch = row(service_tier="batch", input=100, output=100)
    general = row(discount=Decimal("0.5"), input=None, output=None, priority=100)
    rate = at(RateKey("m", "", "batch"), [batch, general])
    assert rate is not None
    assert rate.input == 50
    standard = row(discount=Decimal("0.5"), input=None, output=None, priority=100, service_tier="standard")
    rate = at(RateKey("m", "", "batch"), [batch, standard])
    assert rate is not None
    assert rate.input == 100


def test_brackets_stand_for_themselves() -> None:
    assert at(RateKey("claude[1m]"), [row("claude[1m]")]) is not None
    assert at(RateKey("claude[1m]"), [row("claude[1m]*")]) is not None
    assert at(RateKey("claude1"), [row("claude[1m]*")]) is None
    assert at(RateKey("claude[1m]"), [row("*[1m]")]) is not None


def test_patterns_respect_case_and_length() -> None:
    rows = [row("m*", input=1), row("m-lon*", input=2), row("m-long", input=3, priority=10)]
    prices = [at(RateKey(model), rows) for model in ("m-x", "m-long-2", "m-long", "M-long")]
    assert [rate and rate.input for rate in prices] == [1, 2, 3, None]


@pytest.mark.parametrize("tier", ["", "standard", "Default", "auto", "on_demand", "on-demand"])
def test_names_of_the_standard_tier(tier: str) -> None:
    assert at(RateKey("m", "", tier), [row()]) is not None
    assert at(RateKey("m", "", tier), [row(service_tier="STANDARD")]) is not None
    assert at(RateKey("m", "", tier), [row(service_tier="batch")]) is None


def test_a_tier_without_a_price_is_not_the_standard_one() -> None:
    assert at(RateKey("m", "", "flex"), [row()]) is None


def test_what_was_recorded_last_wins_within_a_source_and_the_rest_of_the_time_stays() -> None:
    rows = [
        row(input=1, recorded_at=MONTHS[0], id=1),
        row(input=2, recorded_at=MONTHS[1], effective_from=MONTHS[2], effective_to=MONTHS[3], id=2),
    ]
    assert [(rate.valid_from, rate.input) for rate in resolve(RateKey("m"), rows)] == [
        ("0001-01-01T00:00:00.000Z", 1), (MONTHS[2], 2), (MONTHS[3], 1),
    ]  # fmt: skip


def test_neighbours_that_say_the_same_are_one_row() -> None:
    rows = [row(), row("other", effective_from=MONTHS[2]), row(effective_from=MONTHS[3], recorded_at="2025")]
    assert len(resolve(RateKey("m"), rows)) == 1


def test_units_pay_the_difference_to_what_their_tokens_pay_already() -> None:
    units = {"input_audio_tokens": 10, "cache_audio_read_tokens": 5, "output_audio_tokens": 20, "rerank_units": 7}
    [rate] = resolve(RateKey("m"), [row(input=4, cache_read=1, output=8, units=units)])
    assert rate.units == {
        "input_audio_tokens": 6, "cache_audio_read_tokens": 4, "output_audio_tokens": 12, "rerank_units": 7,
    }  # fmt: skip


def test_the_fee_of_searches_stays_that_of_the_list_where_the_contract_names_none() -> None:
    listed = row(source="list", input=3, output=15, web_search=10**10)
    ours = {"source": "contract", "priority": 100, "id": 2, "input": 2, "output": 12}
    [rate] = resolve(RateKey("m"), [listed, row(**ours)])
    assert (rate.input, rate.output, rate.web_search, rate.price_source) == (2, 12, 10**10, "contract")
    [named] = resolve(RateKey("m"), [listed, row(**ours, web_search=7)])
    assert named.web_search == 7
