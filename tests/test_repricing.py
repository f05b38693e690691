"""What it had cost with another model, against the costs of a ledger that had that model all along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from billed import billed
from support import Source, call, price, raw

from agent_ledger import Ledger, LedgerError, repricing
from agent_ledger.ledger import reading

MONTH = {"since": "2026-01-01T00:00:00.000Z", "until": "2026-02-01T00:00:00.000Z"}
DEAR = price("dear", input=15_000_000, output=75_000_000, cache_read=1_500_000)
CHEAP = price("cheap", input=3_000_000, output=15_000_000)


@pytest.fixture
def book(ledger: Ledger, no_sources: None) -> Path:  # noqa: ARG001
    ledger.record_calls(
        [
            call(request_id="1", model="dear", customer_id="acme", cache_read_tokens=40),
            call(request_id="2", model="dear", agent_id="b", ts="2026-02-01T00:00:00.000Z"),
            call(request_id="3", model="cheap", agent_id="b"),
            call(request_id="4", model="unknown", agent_id="c"),
        ]
    )
    ledger.set_prices([DEAR, CHEAP])
    return ledger.path


def compare(path: Path, by: str, models: dict[str, str], *sources: Source, **more: Any) -> tuple[Any, Any]:
    with reading(path, as_of=more.get("as_of")) as connection:
        return repricing.compare(connection, by, models, sources, **more)


def test_actual_and_repriced_side_by_side(book: Path) -> None:
    rows, total = compare(book, "agent", {"dear": "cheap"})
    assert [tuple(row.values()) for row in rows] == [
        ("a", 1, 0.00171, 0.00045, -0.00126, 0, 0),
        ("b", 2, 0.0027, 0.0009, -0.0018, 0, 0),
        ("c", 1, None, None, None, 1, 1),
    ]
    assert tuple(rows[0]) == repricing.columns("agent")
    assert tuple(total.values()) == (4, 0.00441, 0.00135, -0.00306, 1, 1)


@pytest.mark.parametrize("by", ["agent", "team", "feature", "customer", "model", "day", "month"])
def test_it_is_what_a_ledger_with_that_model_says(by: str, book: Path, tmp_path: Path) -> None:
    with Ledger(book) as ledger, Ledger(tmp_path / "other.db") as other:
        names = ("agent_id", "request_id", "ts", "customer_id", "cache_read_tokens", "model")
        facts = [{name: row[name] for name in names} for row in ledger.rows("ledger")]
        other.record_calls(call(**{**fact, "model": fact["model"].replace("dear", "cheap")}) for fact in facts)
        other.set_prices([DEAR, CHEAP])
        expected = sum(row["cost_picos"] or 0 for row in other.rows("call_cost"))
    rows, total = compare(book, by, {"dear": "cheap"})
    assert sum(round((row["repriced_usd"] or 0) * 1e12) for row in rows) == expected
    assert total["repriced_usd"] == expected / 1e12


def test_rows_keep_the_names_that_they_have(book: Path) -> None:
    rows, _ = compare(book, "model", {"dear": "cheap"})
    assert [(row["model"], row["calls"]) for row in rows] == [("cheap", 1), ("dear", 2), ("unknown", 1)]


def test_a_period(book: Path) -> None:
    rows, total = compare(book, "agent", {"dear": "cheap"}, **MONTH)
    assert [row["calls"] for row in rows] == [1, 1, 1]
    assert total["cost_usd"] == 0.00171 + 0.00045
    assert compare(book, "agent", {"dear": "cheap"}, since="2030-01-01T00:00:00.000Z")[0] == []


def test_several_models_and_patterns(book: Path) -> None:
    _, total = compare(book, "agent", {"unk*": "dear", "d?ar": "cheap", "*": "dear"})
    assert (total["unpriced_calls"], total["unpriced_repriced_calls"]) == (1, 0)
    assert total["difference_usd"] is None, "the two do not cover the same calls"
    assert total["repriced_usd"] == pytest.approx(2 * 0.00045 + 2 * 0.00225)


def test_what_nobody_wrote_is_asked_and_not_stored(book: Path) -> None:
    told = Source([price("new", source="told", input=1_000_000, output=1_000_000)])
    before = book.read_bytes()
    _, total = compare(book, "agent", {"dear": "new"}, told)
    assert total["repriced_usd"] == 0.00045 + 2 * 0.00011
    assert set(told.asked) == {(None, "new")}
    assert book.read_bytes() == before
    with reading(book) as connection:
        assert connection.execute("select count(*) from price_revision where model = 'new'").fetchone()[0] == 0


def test_another_provider(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.record_call(**call(provider="p"))
    ledger.set_prices([price(input=9, output=9), price("other", provider="q", input=2_000_000, output=0)], free=True)
    _, total = compare(ledger.path, "agent", {"m": "other"})
    assert total["repriced_usd"] == 0.0002


def test_reported_costs_are_of_the_model_that_answered(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.record_call(**call(request_id="1", reported_cost_usd=5))
    ledger.record_call(**call(request_id="2", model="n", reported_cost_usd=7))
    ledger.set_prices([CHEAP])
    _, total = compare(ledger.path, "agent", {"m": "cheap"})
    assert (total["cost_usd"], total["repriced_usd"]) == (12.0, 7.00045)


def test_as_of(book: Path) -> None:
    with reading(book) as connection:
        [(then,)] = connection.execute("select max(recorded_at) from price_revision").fetchall()
    with Ledger(book) as ledger:
        ledger.set_prices([price("cheap", input=1, output=1), price("dear", input=2, output=2)])
    _, now = compare(book, "agent", {"dear": "cheap"})
    _, before = compare(book, "agent", {"dear": "cheap"}, as_of=then)
    assert (before["cost_usd"], before["repriced_usd"]) == (0.00441, 0.00135)
    assert now["repriced_usd"] == 3 * 110 / 1e12


def test_a_tier_that_the_substitute_does_not_have(book: Path) -> None:
    with Ledger(book) as ledger:
        ledger.record_call(**call(request_id="5", model="dear", service_tier="flex"))
        ledger.set_prices([price("dear", service_tier="flex", input=1, output=1)])
    _, total = compare(book, "agent", {"dear": "cheap"})
    assert (total["unpriced_calls"], total["unpriced_repriced_calls"], total["difference_usd"]) == (1, 2, None)


def test_tool_calls_are_left_as_they_are(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    billed(ledger)
    ledger.set_prices([CHEAP])
    before = ledger.rows("cost_by_tool")
    with reading(ledger.path) as connection:
        repricing.lay(connection, {"m": "cheap"}, [])
        assert [dict(row) for row in connection.execute("select * from cost_by_tool")] == before


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        ({"nope": "cheap"}, "the ledger has no calls of nope"),
        (
            {"dear": "nobody"},
            "no price is known for nobody: set one with agent-ledger prices LEDGER set --model nobody",
        ),
        ({"dear": "cheap", "no*": "cheap"}, "no calls of no*"),
    ],
)
def test_what_can_not_be_compared(models: dict[str, str], sentence: str, book: Path) -> None:
    with pytest.raises(LedgerError) as error:
        compare(book, "agent", models)
    assert sentence in str(error.value)


def test_a_failing_source_is_as_one_that_does_not_know(book: Path) -> None:
    with pytest.raises(LedgerError, match="no price is known for new"):
        compare(book, "agent", {"dear": "new"}, Source(error=RuntimeError("down")))


def test_a_model_that_no_row_counts_for(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.set_prices([CHEAP])
    with raw(ledger) as connection:
        connection.execute("insert into rate_key (model, provider, service_tier, region) values ('old', '', '', '')")
    with pytest.raises(LedgerError, match="has no calls of old"):
        compare(ledger.path, "agent", {"old": "cheap"})
