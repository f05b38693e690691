"""Prices for what a ledger has not seen before: every source is asked, none of them can do harm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Source, call, empty_file, locked, price, query

from agent_ledger import LedgerError, plugins
from agent_ledger.connection import Writer
from agent_ledger.hookspecs import PriceSource
from agent_ledger.price_lookup import look_up, look_up_new
from agent_ledger.recording import CALLS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    path.write_bytes(empty_file())
    return path


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    opened = Writer(path, synchronous="normal", timeout=0.01)
    yield opened
    opened.close()


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> list[PriceSource]:
    """The sources that there are; empty at first."""
    there: list[PriceSource] = []
    monkeypatch.setattr(plugins, "price_sources", lambda: there)
    return there


def record(writer: Writer, *models: str) -> None:
    writer.insert(CALLS, [CALLS.row(call(model=model, request_id=model)) for model in models])


def test_new_models_are_asked_about_once(writer: Writer, path: Path, sources: list[PriceSource]) -> None:
    knows = Source([price("a", input=1, output=2)])
    sources += [knows, Source(name="other")]
    record(writer, "a", "b")
    look_up_new(writer)
    look_up_new(writer)
    assert knows.asked == [(None, "a"), (None, "b")]
    assert query(path, "select model, input, output from rate") == [("a", 1, 2)]
    assert query(path, "select model, reason is null from rate_key where resolved_at is not null order by model") == [
        ("a", 1), ("b", 0),
    ]  # fmt: skip


def test_a_source_that_fails_harms_nobody_and_is_asked_again(
    writer: Writer, path: Path, sources: list[PriceSource], caplog: pytest.LogCaptureFixture
) -> None:
    broken = Source(error=ZeroDivisionError("a bug"), name="broken")
    sources += [broken, Source([price("a", input=1)])]
    record(writer, "a", "b")
    look_up_new(writer)
    assert query(path, "select model, input from rate") == [("a", 1)]
    assert [record.getMessage() for record in caplog.records] == [
        f"No price of {model} from broken: ZeroDivisionError: a bug" for model in ("a", "b")
    ]
    broken.error = None
    broken.rows = [price("b", input=3)]
    look_up_new(writer)
    assert query(path, "select model, input from rate order by model") == [("a", 1), ("b", 3)]
    assert broken.asked[-1] == (None, "b")


def test_looking_up_never_raises(
    writer: Writer, path: Path, sources: list[PriceSource], caplog: pytest.LogCaptureFixture
) -> None:
    sources.append(Source([price("a", input=1)]))
    record(writer, "a")
    with locked(path):
        look_up_new(writer)
    sources.append(object())  # type: ignore[arg-type]  # a plugin may be anything
    look_up_new(writer)
    sources.pop()
    closed = Writer(path, synchronous="normal")
    closed.close()
    look_up_new(closed)
    assert [record.getMessage() for record in caplog.records] == [
        "The prices of new models could not be looked up; `agent-ledger check` lists them"
    ] * 3
    look_up_new(writer)
    assert query(path, "select model, input from rate") == [("a", 1)]


def test_looking_up_says_what_became_of_it(writer: Writer, path: Path) -> None:
    source = Source([price("a", input=1)], name="s")
    record(writer, "a")
    assert [answer.outcome for answer in look_up(writer, [source], [("", "a"), ("", "b")])] == ["new", "unknown"]
    source.rows = [price("a", input=2)]
    [answer] = look_up(writer, [source], [("", "a")], everything=True)
    assert (answer.outcome, answer.rows, answer.model) == ("changed", 1, "a")
    assert query(path, "select input from rate") == [(2,)]
    source.rows = [price("a", input=-2)]
    [answer] = look_up(writer, [source], [("", "a")], everything=True)
    assert answer.outcome == "refused"
    assert query(path, "select input from rate") == [(2,)]


def test_what_is_known_stays_unless_everything_is_asked_for(writer: Writer, path: Path) -> None:
    record(writer, "a")
    look_up(writer, [Source([price("a", input=1)])], [("", "a")])
    look_up(writer, [Source([price("a", input=2)])], [("", "a")])
    assert query(path, "select input from rate") == [(1,)]
    look_up(writer, [], [], everything=True)
    assert query(path, "select input from rate") == [(2,)]


def test_a_ledger_that_cannot_be_written(writer: Writer, path: Path) -> None:
    with locked(path), pytest.raises(LedgerError, match="can't be written"):
        look_up(writer, [], [])


def test_sources_are_asked_while_nothing_is_locked(writer: Writer, path: Path) -> None:
    """They may take their time: a download, a slow disk."""

    class Slow(Source):
        def prices(self, provider: str | None, model: str) -> list[object]:  # type: ignore[override]
            with locked(path):
                return list(super().prices(provider, model))

    record(writer, "a")
    assert look_up(writer, [Slow([price("a", input=1)])], [("", "a")])[0].outcome == "new"
