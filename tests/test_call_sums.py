"""One pass over calls: what is summed where. That it is the same as the calls say, test_rollup asks of histories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from support import call, price, query

from agent_ledger import Ledger, rollup
from agent_ledger.call_sums import NOBODY, CallSums, Kinds, adding
from agent_ledger.schema import open_for_writing

pytestmark = pytest.mark.usefixtures("no_sources")
DAY = "2026-02-10"


@contextmanager
def summed(ledger: Ledger) -> Iterator[CallSums]:
    with closing(open_for_writing(ledger.path, synchronous="off")) as connection:
        sums = CallSums(connection, Kinds(connection))
        sums.read("true", [])
        if missing := sums.place():
            rollup.add_keys(connection, missing)
            assert sums.place() == []
        yield sums


def used(ledger: Ledger, number: int, **fields: object) -> None:
    ledger.record_call(**call(**{"request_id": str(number), "ts": f"{DAY}T09:15:00.000Z"} | fields))


def test_calls_of_one_hour_and_customer_come_together(ledger: Ledger) -> None:
    used(ledger, 1, prompt_tokens=10, completion_tokens=1, cache_read_tokens=4)
    used(ledger, 2, prompt_tokens=20, completion_tokens=2, ts=f"{DAY}T09:59:59.999Z", customer_id="acme")
    used(ledger, 3, prompt_tokens=20, completion_tokens=2, ts=f"{DAY}T10:00:00.000Z", customer_id="acme")
    with summed(ledger) as sums:
        hours = {group.bucket: group.customers[""] for group in sums.hours()}
        customers = [(group.bucket, group.customers) for group in sums.customers()]
    assert hours == {
        f"{DAY}T09": [2, 30, 3, 4, 0, 0, 0, 0, 0, 0, f"{DAY}T09:15:00.000Z", f"{DAY}T09:59:59.999Z"],
        f"{DAY}T10": [1, 20, 2, 0, 0, 0, 0, 0, 0, 0, f"{DAY}T10:00:00.000Z", f"{DAY}T10:00:00.000Z"],
    }
    assert customers == [
        (DAY, {NOBODY: [1, 10, 1, 4, 0, 0, 0, 0, 0, 0], "acme": [2, 40, 4, 0, 0, 0, 0, 0, 0, 0]}),
    ]


def test_reported_dollars_are_summed_in_two_parts(ledger: Ledger) -> None:
    used(ledger, 1, reported_cost_usd=0.25)
    used(ledger, 2, reported_cost_usd=0.0003)
    used(ledger, 3, reported_cost_usd=0)
    with summed(ledger) as sums:
        parts = [group.customers[""][8:10] for group in sums.hours()]
    assert Counter(4096 * 244140625 // 4096 * whole + rest for whole, rest in parts) == {
        250_000_000_000 + 300_000_000: 1,
        0: 1,
    }
    assert sorted(parts) == [[0, 0], [1025, 300_000_000 - 244140625]]


def test_units_that_are_no_small_whole_numbers_stand_alone(ledger: Ledger) -> None:
    used(ledger, 1, usage={"images": 2})
    used(ledger, 2, usage={"images": 3, "seconds": 0})
    used(ledger, 3, usage={"images": 3, "seconds": 1.5})
    used(ledger, 4, usage={"images": 1_000_001})
    used(ledger, 5, usage={})
    with summed(ledger) as sums:
        assert [row for (row,) in sums.loose] == [3, 4]
        found = [(group.bucket, group.unit, group.customers) for group in sums.hour_units()]
        assert sum(group.customers[""][0] for group in sums.hours()) == 3
    assert [(bucket, unit) for bucket, unit, _ in found] == [(f"{DAY}T09", ("images",))]
    assert [customers[""] for *_, customers in found] == [[5]]


def test_an_hour_is_divided_only_where_its_price_is(ledger: Ledger) -> None:
    ledger.set_prices(
        [
            price("m", input=1, output=1, effective_to=f"{DAY}T09:30:00.000Z"),
            price("m", input=2, output=1, effective_from=f"{DAY}T09:30:00.000Z"),
        ]
    )
    for number, minute in enumerate((0, 29, 30, 59)):
        used(ledger, number, ts=f"{DAY}T09:{minute:02d}:00.000Z")
        used(ledger, 10 + number, ts=f"{DAY}T10:{minute:02d}:00.000Z")
    with summed(ledger) as sums:
        found = sorted((group.bucket, group.place.price_cut, group.customers[""][0]) for group in sums.hours())
    cut = f"{DAY}T09:30:00.000Z"
    assert found == [(f"{DAY}T09", "", 2), (f"{DAY}T09", cut, 2), (f"{DAY}T10", cut, 4)]


def test_what_is_superseded_does_not_count(ledger: Ledger) -> None:
    used(ledger, 1, evidence="log")
    used(ledger, 1, evidence="response", prompt_tokens=77)
    with summed(ledger) as sums:
        assert [group.customers[""][:2] for group in sums.hours()] == [[1, 77]]


def test_all_that_the_place_depends_on_is_looked_at(ledger: Ledger) -> None:
    """Calls that differ in one thing only: usage_place tells them apart, and so do the sums."""
    ledger.set_prices([price("m", input=1, output=1), price("m", input=2, output=1, above_tokens=200_000)])
    differences: list[tuple[str, object]] = [
        *(("part", 0), ("agent_id", "other"), ("model", "n"), ("provider", "p"), ("service_tier", "batch")),
        *(
            ("region", "us"),
            ("feature", "f"),
            ("prompt_tokens", None),
            ("prompt_tokens", 0),
            ("prompt_tokens", 200_001),
        ),
        *(("completion_tokens", None), ("completion_tokens", 0), ("tier_tokens", 7), ("tier_tokens", 300_000)),
        *(("usage", {"images": 1}), ("anomaly", "odd"), ("web_search_requests", 1), ("reported_cost_usd", 1)),
    ]
    for number, (field, value) in enumerate(differences):
        used(ledger, number, **{field: value})
    with summed(ledger) as sums:
        places = {group.place for group in sums.hours()}
    assert len(places) == len(differences) == query(ledger, "select count(distinct key_id) from usage_place")[0][0]


def test_times_that_are_not_known_stay_so() -> None:
    sums = [1, *[0] * 9, None, "b"]
    adding(sums, [2, *[0] * 9, "a", "c"])
    assert sums == [3, *[0] * 9, None, "c"]
    ours = [1, *[0] * 9]
    adding(ours, [1] * 10)
    assert ours == [2, *[1] * 9]


def test_names_that_read_alike_together_are_kept_apart(ledger: Ledger) -> None:
    used(ledger, 1, agent_id="a\x1fb", model="c", prompt_tokens=10)
    used(ledger, 2, agent_id="a", model="b\x1fc", prompt_tokens=200)
    used(ledger, 3, agent_id="a\x1fb", model="c", prompt_tokens=3000)
    with summed(ledger) as sums:
        found = sorted(group.customers[""][:2] for group in sums.hours())
    assert found == [[1, 200], [2, 3010]]
