"""When prices change, the rollups are divided anew where the change asks for it, and only there."""

from __future__ import annotations

from contextlib import closing

import pytest
from support import add_prices, call, price, query

from agent_ledger import Ledger, LedgerError, rollup, rollup_limits
from agent_ledger.ledger import reading
from agent_ledger.pricing import RateKey
from agent_ledger.schema import open_for_writing

pytestmark = pytest.mark.usefixtures("no_sources")
KEY = RateKey("m")
MARCH = "2026-03"


@pytest.fixture
def compacted(ledger: Ledger) -> Ledger:
    """Calls of half a year, at noon of each 15th and at midnight of each 1st, short and long, of two models."""
    add_prices(ledger, price(input=1_000_000, output=1))
    ledger.record_calls(
        call(
            request_id=f"{model} {month} {day} {tokens}",
            ts=f"2026-0{month}-{day}:00:00.000Z",
            prompt_tokens=tokens,
            model=model,
        )
        for model in ("m", "n")
        for month in range(1, 7)
        for day in ("01T00", "15T12")
        for tokens in (10, 300_000)
    )
    ledger.compact()
    return ledger


def divided(ledger: Ledger, grain: str = "month") -> list[tuple[str, str, int]]:
    """How the rows of model m are divided."""
    return [
        (bucket, cut, calls)
        for bucket, cut, calls in query(
            ledger,
            "select bucket, cut, sum(calls) from usage_rollup join usage_key on usage_key.id = key_id"
            " where grain = ? and model = 'm' group by 1, 2 order by 1, 2",
            grain,
        )
        if cut
    ]


@pytest.mark.parametrize(
    ("change", "months", "days"),
    [
        (price(input=7, effective_from=f"{MARCH}-01T00:00:00.000Z"), [], []),
        (price(input=7, effective_from=f"{MARCH}-10T00:00:00.000Z"), [(MARCH, f"{MARCH}-10T00:00:00.000Z", 2)], []),
        (
            price(input=7, effective_from=f"{MARCH}-15T11:30:00.000Z", effective_to="2026-05-01T00:00:00.000Z"),
            [(MARCH, f"{MARCH}-15T11:30:00.000Z", 2)],
            [(f"{MARCH}-15", f"{MARCH}-15T11:30:00.000Z", 2)],
        ),
    ],
)  # fmt: skip
def test_a_moment_divides_its_month_and_its_day(compacted, change, months, days):
    add_prices(compacted, change, recorded_at="2026-02-01T00:00:00.000Z")
    assert divided(compacted) == months
    assert divided(compacted, "day") == days
    assert divided(compacted, "hour") == []
    assert query(compacted, "select sum(cost_picos) from call_cost where model = 'm'") == query(
        compacted,
        "select sum(cost_4096ths) * 244140625 + sum(cost_picos) from rollup_cost where grain = 'month' and model = 'm'",
    )


def test_what_does_not_concern_the_calls_divides_nothing(compacted):
    held = query(compacted, "select * from usage_rollup")
    changes = query(compacted, "select changes from rollup_state")
    add_prices(compacted, price("other", input=7, output=1), recorded_at="2026-02-01T00:00:00.000Z")
    add_prices(compacted, price(input=8, output=1), recorded_at="2026-02-02T00:00:00.000Z")  # another amount only
    assert query(compacted, "select * from usage_rollup") == held
    assert query(compacted, "select changes from rollup_state") == changes


def test_another_band_sums_the_calls_of_that_model_anew(compacted):
    before = query(compacted, "select * from usage_rollup join usage_key on usage_key.id = key_id where model = 'n'")
    bands = """
      select min_tokens, sum(calls) from usage_rollup join usage_key on usage_key.id = key_id
      where grain = 'day' and model = 'm' group by 1
    """
    assert query(compacted, bands) == [(0, 24)]
    add_prices(
        compacted,
        price(input=1, output=1),
        price(input=2, output=1, above_tokens=200_000),
        recorded_at="2026-02-01T00:00:00.000Z",
    )
    assert query(compacted, bands) == [(0, 12), (200_001, 12)]
    after = query(compacted, "select * from usage_rollup join usage_key on usage_key.id = key_id where model = 'n'")
    assert after == before
    assert query(compacted, "select cost_usd from cost_by_model where model = 'm'") == query(
        compacted, "select sum(cost_picos) / 1e12 from call_cost where model = 'm'"
    )


def test_as_of_and_its_rollups(compacted):
    """Prices as they were known earlier are divided otherwise: then the calls are added up one by one."""
    add_prices(compacted, price(input=2_000_000, output=1), recorded_at="2026-02-01T00:00:00.000Z")
    with reading(compacted.path, as_of="2026-01-15") as connection:  # the same limits
        assert connection.execute("select ledger_row from compacted").fetchone()[0] == 48
        assert (
            connection.execute("select sum(cost_usd) from cost_by_model where model = 'm'").fetchone()[0]
            == 3.60012000024
        )
    halves = [
        price(input=1, output=1),
        price(input=3, output=1, effective_from="2026-03-10T00:00:00.000Z"),
    ]
    add_prices(compacted, *halves, recorded_at="2026-02-02T00:00:00.000Z")
    add_prices(compacted, price(input=5, output=1), recorded_at="2026-02-03T00:00:00.000Z")
    assert divided(compacted) == []  # any more
    exact = sum({row[0] < "2026-03-10": 1, row[0] >= "2026-03-10": 3}[True] * row[1] + row[2] for row in query(
        compacted, "select ts, prompt_tokens, completion_tokens from ledger where model = 'm'"
    ))  # fmt: skip
    with reading(compacted.path, as_of="2026-02-02T12:00:00Z") as connection:
        found = connection.execute("select cost_usd from cost_by_model where model = 'm'").fetchone()[0]
    assert found == exact / 1e12


def test_rates_that_the_rollups_do_not_fit(compacted):
    with closing(open_for_writing(compacted.path, synchronous="off")) as connection:
        connection.execute("create temp table rate as select * from main.rate")
        assert rollup_limits.fits(connection, KEY, "temp.rate")
        connection.execute("update temp.rate set valid_to = '2026-03-01T00:00:00.000Z'")
        assert rollup_limits.fits(connection, KEY, "temp.rate")  # months begin there anyway
        connection.execute("update temp.rate set valid_to = '2026-03-02T00:00:00.000Z'")
        assert not rollup_limits.fits(connection, KEY, "temp.rate")
        connection.execute("delete from temp.rate")
        assert rollup_limits.fits(connection, KEY, "temp.rate")  # no price at all is one price


def test_nothing_is_left_half_divided(compacted, monkeypatch):
    """A failure while the rollups are divided takes the new price back too."""

    def broken(*_):
        raise LedgerError("no")

    before = query(compacted, "select * from cost_by_model")
    monkeypatch.setattr(rollup, "split", broken)
    with pytest.raises(LedgerError):
        compacted.set_prices([price(input=9, output=9, effective_from="2026-03-10T00:00:00.000Z")])
    assert query(compacted, "select * from cost_by_model") == before
    assert query(compacted, "select count(*) from price_revision") == [(1,)]
