"""Storing what price sources say, and what the ledger knew when (C36, C38, C39, C41, C57, C81)."""

from __future__ import annotations

import logging
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from support import Source, add_prices, call, price, query, raw

from agent_ledger import InvalidPrice, Ledger, PriceRevision, clock, plugins, pricebook
from agent_ledger.prices.genai import GenaiPrices

PRICE = price(input=3_000_000, output=15_000_000, provider="p")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "price_sources", list)


@pytest.fixture
def used(ledger: Ledger) -> Ledger:
    """A ledger with one call of 100 tokens in and 10 out, of model m and provider p."""
    ledger.record_call(**call(provider="p"))
    return ledger


def sync(ledger: Ledger, *sources: Source) -> list[tuple[str, str, int]]:
    return [(answer.source, answer.outcome, answer.rows) for answer in ledger.sync_prices(sources)]


def cost(ledger: Ledger, **options: Any) -> int | None:
    [row] = ledger.rows("call_cost", **options)
    picos: int | None = row["cost_picos"]
    return picos


def test_new_then_unchanged_then_changed(used: Ledger) -> None:
    source = Source([PRICE])
    assert sync(used, source) == [("told", "new", 1)]
    assert cost(used) == 450_000_000
    assert sync(used, source) == [("told", "unchanged", 0)]
    source.rows = [replace(PRICE, input=2_000_000)]
    assert sync(used, source) == [("told", "changed", 1)]
    assert cost(used) == 350_000_000
    assert query(used, "select count(*) from price_revision") == [(2,)]
    source.rows = [PRICE]
    assert sync(used, source) == [("told", "changed", 1)]
    assert cost(used) == 450_000_000


def test_unchanged_whatever_the_order_and_the_kind_of_numbers(used: Ledger) -> None:
    band = replace(PRICE, above_tokens=200, input=6_000_000, units={"b": 1, "a": 2})
    sync(used, Source([PRICE, band]))
    assert sync(used, Source([replace(band, units={"a": 2, "b": 1}), PRICE])) == [("told", "unchanged", 0)]


def test_c41_c81_a_source_that_forgets_a_model_leaves_its_price(used: Ledger) -> None:
    source = Source([PRICE])
    sync(used, source)
    source.rows = []
    assert sync(used, source) == [("told", "unknown", 0)]
    assert cost(used) == 450_000_000


def test_c41_a_source_that_fails_leaves_its_price_and_says_so(used: Ledger) -> None:
    source, other = Source([PRICE]), Source([PRICE], name="other", priority=5)
    sync(used, source)
    source.error = ValueError("no network")
    answers = used.sync_prices([source, other])
    assert [(answer.source, answer.outcome) for answer in answers] == [("told", "failed"), ("other", "new")]
    assert answers[0].detail == "ValueError: no network"
    assert cost(used) == 450_000_000


@pytest.mark.parametrize(
    "bad", [{"input": -1}, {"output": -1_000_000}, {"input": 0, "output": 0}, {"input": 5 * 10**9}]
)
def test_c57_c81_absurd_prices_are_refused(used: Ledger, bad: dict[str, int]) -> None:
    source = Source([PRICE])
    sync(used, source)
    source.rows = [replace(PRICE, **bad)]
    [answer] = used.sync_prices([source])
    assert (answer.outcome, answer.rows) == ("refused", 0)
    assert answer.detail
    assert "told has a price for m" in answer.detail
    assert cost(used) == 450_000_000
    with pytest.raises(InvalidPrice):
        used.set_prices([replace(PRICE, **bad)])
    assert query(used, "select count(*) from price_revision") == [(1,)]


def test_a_free_model_has_to_be_declared(used: Ledger) -> None:
    used.set_prices([price(input=0, output=0)], free=True)
    assert cost(used) == 0
    assert used.rows("unpriced_calls") == []


def test_the_change_of_a_source_without_dates_holds_from_now_on(used: Ledger) -> None:
    source = Source([PRICE], dated=False)
    sync(used, source)
    assert query(used, "select effective_from from price_revision") == [(None,)]
    source.rows = [replace(PRICE, input=1_000_000)]
    before = clock.now()
    assert sync(used, source) == [("told", "changed", 1)]
    assert cost(used) == 450_000_000, "the call was made before the change"
    [(since,)] = query(used, "select effective_from from price_revision where id = 2")
    assert before <= since <= clock.now()
    assert sync(used, source) == [("told", "unchanged", 0)]
    used.record_call(**call(provider="p", request_id="later", ts="2100-01-01T00:00:00Z"))
    assert cost(used, request_id="later") == 250_000_000


def test_the_source_with_the_highest_priority_counts_and_contract_prices_always(used: Ledger) -> None:
    low = Source([replace(PRICE, input=1_000_000)], name="low", priority=1)
    sync(used, Source([PRICE]), low)
    assert used.rows("call_cost")[0]["price_source"] == "told"
    used.set_prices([price(input=9_000_000, output=0, service_tier=None)])
    assert cost(used) == 900_000_000
    sync(used, Source([replace(PRICE, input=7_000_000)]))
    assert cost(used) == 900_000_000


def test_c02_a_contract_of_the_same_numbers_costs_the_same(used: Ledger) -> None:
    sync(used, Source([PRICE]))
    before = used.rows("cost_by_agent")
    used.set_prices([PRICE])
    assert used.rows("cost_by_agent") == before


def test_recordings_are_strictly_ordered_even_within_a_millisecond(
    used: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: "2026-05-01T00:00:00.000Z")
    for amount in (1, 2, 3):
        used.set_prices([price(input=amount, output=0)])
    monkeypatch.setattr(clock, "now", lambda: "2026-04-01T00:00:00.000Z")  # the clock was set back
    used.set_prices([price(input=4, output=0)])
    times = [ts for (ts,) in query(used, "select recorded_at from price_revision order by id")]
    assert times == [f"2026-05-01T00:00:00.00{n}Z" for n in range(4)]
    assert cost(used) == 400


AUGUST = "2026-08-21T00:00:00.000Z"


class TestHistory:
    """The trio: dated rows (C36), the figure as it was reported (C38), and history re-costed at once (C39)."""

    @pytest.fixture
    def dated(self, ledger: Ledger) -> Ledger:
        for day in ("2026-08-20T23:59:59.999Z", AUGUST):
            ledger.record_call(**call(provider="p", request_id=day[:10], ts=day))
        add_prices(
            ledger,
            replace(PRICE, source="list", priority=10, input=5_000_000, output=0, effective_to=AUGUST),
            replace(PRICE, source="list", priority=10, input=4_000_000, output=0, effective_from=AUGUST),
            recorded_at="2026-08-22T00:00:00.000Z",
        )
        return ledger

    def costs(self, ledger: Ledger, **options: Any) -> list[int | None]:
        return [row["cost_picos"] for row in ledger.rows("call_cost", **options)]

    def test_c36_each_call_costs_what_held_at_its_time(self, dated: Ledger) -> None:
        assert self.costs(dated) == [500_000_000, 400_000_000]
        later = replace(PRICE, source="list", priority=10, input=1, output=0, effective_from="2026-09-01T00:00:00.000Z")
        add_prices(dated, later, recorded_at="2026-09-01T00:00:00.000Z")
        assert self.costs(dated) == [500_000_000, 400_000_000]

    def test_c39_a_correction_costs_history_anew_at_once(self, dated: Ledger) -> None:
        correction = replace(PRICE, source="list", priority=10, input=3_000_000, output=0)
        add_prices(dated, correction, recorded_at="2026-09-01T00:00:00.000Z")
        assert self.costs(dated) == [300_000_000, 300_000_000]

    def test_c38_the_figure_of_before_the_correction_can_still_be_asked(self, dated: Ledger) -> None:
        correction = replace(PRICE, source="list", priority=10, input=3_000_000, output=0)
        add_prices(dated, correction, recorded_at="2026-09-01T00:00:00.000Z")
        assert self.costs(dated, as_of="2026-08-31") == [500_000_000, 400_000_000]
        assert self.costs(dated, as_of="2026-09-01") == [300_000_000, 300_000_000]
        assert self.costs(dated, as_of="2026-08-21") == [None, None]
        [row] = dated.rows("cost_by_agent", as_of="2026-08-31")
        assert row["cost_usd"] == 0.0009
        [row] = dated.rows("cost_by_agent")
        assert row["cost_usd"] == 0.0006
        assert self.costs(dated) == [300_000_000, 300_000_000], "asking changes nothing"

    def test_as_of_reads_price_and_coverage_too(self, dated: Ledger) -> None:
        assert dated.rows("price", as_of="2026-08-21") == []
        [row] = dated.rows("price", as_of="2026-08-22")
        assert row["input_price"] == 4e-6
        [row] = dated.rows("coverage", as_of="2026-08-21")
        assert row["priced_calls"] == 0


def test_a_new_model_is_priced_at_once_and_offline(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "price_sources", lambda: [GenaiPrices()])
    ledger.record_call(**call(model="claude-sonnet-4-5", provider="anthropic", prompt_tokens=1200))
    assert cost(ledger) == 1200 * 3_000_000 + 10 * 15_000_000
    ledger.record_call(**call(model="claude-sonnet-4-5", provider="anthropic", service_tier="batch", request_id="b"))
    assert cost(ledger, request_id="b") == (100 * 3_000_000 + 10 * 15_000_000) // 2


def test_a_known_model_is_not_looked_up_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source([PRICE])
    monkeypatch.setattr(plugins, "price_sources", lambda: [source])
    for number in range(5):
        ledger.record_call(**call(provider="p", request_id=str(number)))
    ledger.record_calls(call(provider="p", request_id=f"b{number}") for number in range(5))
    assert source.asked == [("p", "m")]


def test_a_new_tier_of_a_known_model_finds_the_prices_that_are_there(used: Ledger) -> None:
    sync(used, Source([PRICE, replace(PRICE, service_tier="batch", input=1, output=1)]))
    used.record_call(**call(provider="p", service_tier="batch", request_id="b"))
    assert cost(used, request_id="b") == 110


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyError("x")])
def test_a_source_that_raises_never_breaks_recording(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    monkeypatch.setattr(plugins, "price_sources", lambda: [Source(error=error), Source([PRICE], name="sound")])
    with caplog.at_level(logging.WARNING, "agent_ledger"):
        assert ledger.record_call(**call(provider="p")) is True
        assert ledger.record_call(**call(provider="p", request_id="2")) is True
    assert cost(ledger, request_id="2") == 450_000_000, "the other source is heard"
    assert len(caplog.records) == 1, "one warning says that a source failed"


def test_a_registry_that_raises_never_breaks_recording(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> list[Source]:
        raise RuntimeError("a plugin can't be imported")

    monkeypatch.setattr(plugins, "price_sources", broken)
    with caplog.at_level(logging.WARNING, "agent_ledger"):
        assert [ledger.record_call(**call(request_id=str(number))) for number in range(3)] == [True] * 3
        assert ledger.record_calls([call(request_id="bulk", model="n")]).added == 1
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert len(caplog.records) == 2, "one for each model"
    [row] = ledger.rows("unpriced_calls", model="m")
    assert "was not looked up yet" in row["reason"]


def test_stored_rows_come_back_as_they_were(ledger: Ledger) -> None:
    rows = [
        replace(PRICE, units={"input_audio_tokens": 5}, effective_from=AUGUST, source_model="M", basis="published"),
        replace(PRICE, service_tier="batch", time_from="22:00", time_to="08:00", web_search=10, request=20),
        price("n", discount=Decimal("0.150")),
    ]
    with raw(ledger) as connection:
        pricebook.store(connection, rows, AUGUST)
        found = pricebook.revisions(connection)
        assert pricebook.revisions(connection, "2026-08-20T00:00:00.000Z") == []
    assert [replace(row, id=None, recorded_at=None) for row in found] == rows


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"model": "nobody"}, "no price source knows this model; recording the provider may help"),
        ({"model": "nobody", "provider": "p"}, "no price source knows this model of the provider p"),
        ({"provider": "p", "service_tier": "flex"}, "no price is known for the service tier flex"),
        ({"provider": "p", "prompt_tokens": None}, "the provider reported no token counts"),
        ({"provider": "p", "web_search_requests": 2}, "the price list has no price for web searches"),
        ({"provider": "p", "ts": "2020-01-01"}, "no price was in force at the time of the call"),
        ({"provider": "half"}, "the price list has no price for these tokens"),
    ],
)
def test_every_unpriced_call_says_why(ledger: Ledger, fields: dict[str, Any], reason: str) -> None:
    ledger.record_call(**call(**fields))
    sync(ledger, Source([replace(PRICE, effective_from="2025-01-01T00:00:00.000Z"), price(provider="half", input=5)]))
    [row] = ledger.rows("unpriced_calls")
    assert row["reason"] == reason


class Flaky:
    """A source that can't be reached at first."""

    name, priority, dated = "flaky", 50, True
    down = True

    def prices(self, provider: str | None, model: str) -> list[PriceRevision]:
        if self.down:
            raise OSError("no route to host")
        return [PriceRevision(source=self.name, provider=provider, model=model, input=1_000_000, output=2_000_000)]


def test_a_model_that_could_not_be_looked_up_is_looked_up_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Flaky()
    monkeypatch.setattr(plugins, "price_sources", lambda: [source])
    ledger.record_call(agent_id="a", request_id="r1", model="m", prompt_tokens=10, completion_tokens=0)
    [unpriced] = ledger.rows("unpriced_calls")
    assert unpriced["reason"].startswith("its price was not looked up yet")
    source.down = False
    ledger.record_call(agent_id="a", request_id="r2", model="other", prompt_tokens=1, completion_tokens=0)
    assert ledger.rows("unpriced_calls") == []
    assert [row["cost_usd"] for row in ledger.rows("cost_by_model", model="m")] == [0.00001]


def test_calls_that_others_wrote_in_sql_are_priced_at_the_next_opening(ledger: Ledger) -> None:
    add_prices(ledger, PRICE)
    with raw(ledger) as connection:
        connection.execute(
            "insert into ledger (ts, agent_id, request_id, prompt_tokens, completion_tokens, model, provider) "
            "values ('2026-11-01T00:00:00.000Z', 'a', 'r9', 1000000, 0, 'm', 'p')"
        )
        connection.commit()
    assert ledger.rows("cost_by_model", model="m")[0]["cost_usd"] is None
    with Ledger(ledger.path) as again:
        assert again.rows("cost_by_model", model="m")[0]["cost_usd"] == 3.0
