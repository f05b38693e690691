"""What runtimes use of a ledger: taking rows without ever raising, telling listeners, finding calls to finish."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from support import Source, call, empty_file, locked, price, query, tool_call

from agent_ledger import Ledger, plugins, spool, stamping
from agent_ledger.hookspecs import PriceSource


@pytest.fixture(autouse=True)
def sources(monkeypatch: pytest.MonkeyPatch) -> list[PriceSource]:
    """The price sources that there are; empty at first."""
    there: list[PriceSource] = []
    monkeypatch.setattr(plugins, "price_sources", lambda: there)
    monkeypatch.setattr(stamping, "_WAIT_S", 0.01)
    monkeypatch.setattr(stamping, "_PAUSE_S", 0.0)
    return there


def stored(ledger: Ledger) -> list[str]:
    return [row["request_id"] for row in ledger.rows("ledger")]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# -- stamping ---------------------------------------------------------------------------------------------------------


def test_a_stamped_row_is_a_recorded_row(ledger: Ledger) -> None:
    fields = call(usage={"a": 1}, reported_cost_usd=0.5, customer_id="acme")
    ledger.stamp_call(**fields)
    ledger.stamp_tool_call(**tool_call(units=2))
    assert ledger.record_call(**fields) is False, "it is there"
    assert ledger.record_tool_call(**tool_call(units=2)) is False
    ledger.stamp_call(**fields)
    assert stored(ledger) == ["r"]


def test_what_is_not_given_is_made(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.stamp_call(agent_id="a", model="m", prompt_tokens=1, completion_tokens=1)
        ledger.stamp_tool_call(tool="t")
    assert {len(request_id) for request_id in stored(ledger)} == {26}
    assert len(set(stored(ledger))) == 2
    assert len({row["tool_call_id"] for row in ledger.rows("audit")}) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"model": ["a", "list"]}, {"model": {}}, {"provider": set()}, {"region": []}, {"agent_id": b"bytes"},
        {"prompt_tokens": "many"}, {"usage": 5}, {"ts": object()}, {"request_id": 1.5}, {"no_such": "field"},
    ],
)  # fmt: skip
def test_stamping_never_raises(ledger: Ledger, fields: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    ledger.stamp_call(**call(**fields))
    ledger.stamp_tool_call(**tool_call(**fields))
    assert len(stored(ledger)) == 1
    assert len(ledger.rows("audit")) == 1
    assert not any(record.exc_info for record in caplog.records), warnings(caplog)


def test_nothing_at_all(ledger: Ledger) -> None:
    ledger.stamp_call()
    ledger.stamp_tool_call()
    assert [row["agent_id"] for row in ledger.rows("ledger")] == ["(invalid)"]
    assert [row["tool"] for row in ledger.rows("audit")] == ["(invalid)"]


def test_stamping_after_closing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        pass
    ledger.stamp_call(**call())
    ledger.stamp_tool_call(**tool_call())
    assert ledger.unfinished_call("x") is None
    ledger.close()
    with Ledger(path) as again:
        assert stored(again) == ["r"]
        assert len(again.rows("audit")) == 1


def test_opening_brings_in_what_waits_and_can_be_told_to(ledger: Ledger) -> None:
    with locked(ledger):
        ledger.stamp_call(**call())
    assert stored(ledger) == []
    ledger._stamper._spool.close()
    assert ledger.replay() == 1
    assert stored(ledger) == ["r"]
    assert ledger.replay() == 0


# -- prices -----------------------------------------------------------------------------------------------------------


def test_the_price_of_a_new_model_is_looked_up_once(ledger: Ledger, sources: list[PriceSource]) -> None:
    source = Source([price("m", input=1_000_000, output=0)])
    sources.append(source)
    for number in range(3):
        ledger.stamp_call(**call(request_id=str(number)))
    ledger.stamp_call(**call(request_id="other", model="n"))
    assert source.asked == [(None, "m"), (None, "n")]
    assert [row["cost_usd"] for row in ledger.rows("call_cost")] == [0.0001] * 3 + [None]


def test_a_price_source_with_a_bug_harms_nobody(
    ledger: Ledger, sources: list[PriceSource], caplog: pytest.LogCaptureFixture
) -> None:
    source = Source(error=RuntimeError("a bug"), name="broken")
    sources.append(source)
    ledger.stamp_call(**call())
    ledger.stamp_call(**call(request_id="2"))
    assert stored(ledger) == ["r", "2"]
    assert warnings(caplog) == ["No price of m from broken: RuntimeError: a bug"]
    assert len(source.asked) == 1


def test_price_sources_that_cannot_even_be_found(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(plugins, "price_sources", lambda: 1 / 0)
    ledger.stamp_call(**call())
    assert stored(ledger) == ["r"]
    assert len(warnings(caplog)) == 1


def test_prices_of_models_that_had_to_wait_are_looked_up_when_they_come_in(
    ledger: Ledger, sources: list[PriceSource]
) -> None:
    sources.append(Source([price("new", input=1_000_000, output=0)]))
    ledger.stamp_call(**call(request_id="1"))
    with locked(ledger):
        ledger.stamp_call(**call(request_id="2", model="new"))
    ledger.stamp_tool_call(**tool_call())
    assert stored(ledger) == ["1", "2"]
    assert query(ledger, "select count(*) from rate_key where resolved_at is null") == [(0,)]
    assert [row["cost_usd"] for row in ledger.rows("call_cost", model="new")] == [0.0001]


# -- listeners --------------------------------------------------------------------------------------------------------


def test_listeners_hear_of_everything(ledger: Ledger) -> None:
    heard: list[tuple[str, Mapping[str, Any]]] = []
    stop = ledger.subscribe(lambda table, fields: heard.append((table, fields)))
    ledger.stamp_call(**call(request_id="1"))
    ledger.stamp_tool_call(**tool_call(request_id="2"))
    ledger.record_call(**call(request_id="3"))
    ledger.record_tool_call(**tool_call(request_id="4"))
    ledger.record_calls([call(request_id="5"), call(request_id="6")])
    ledger.record_tool_calls([tool_call(request_id="7")])
    with locked(ledger):
        ledger.stamp_call(**call(request_id="8"))
    stop()
    stop()
    ledger.stamp_call(**call(request_id="9"))
    tables = {"1": "ledger", "2": "audit", "3": "ledger", "4": "audit", "5": "ledger", "6": "ledger", "7": "audit"}
    assert [(table, fields["request_id"]) for table, fields in heard] == [
        *((v, k) for k, v in tables.items()),
        ("ledger", "8"),
    ]
    assert dict(heard[0][1]) == call(request_id="1")


@pytest.mark.parametrize("lock", [False, True])
def test_a_listener_that_fails_harms_nobody(ledger: Ledger, caplog: pytest.LogCaptureFixture, lock: bool) -> None:
    heard: list[str] = []

    def broken(*_: object) -> None:
        raise ValueError("somebody else's bug")

    ledger.subscribe(broken)
    ledger.subscribe(lambda table, _: heard.append(table))
    if lock:
        with locked(ledger):
            ledger.stamp_call(**call())
    else:
        ledger.stamp_call(**call())
        assert ledger.record_tool_call(**tool_call()) is True
    assert heard == (["ledger"] if lock else ["ledger", "audit"])
    assert warnings(caplog)[-1] == "A listener of the ledger failed"


def test_one_of_two_listeners_ends(ledger: Ledger) -> None:
    first: list[str] = []
    second: list[str] = []
    stop = ledger.subscribe(lambda table, _: first.append(table))
    ledger.subscribe(lambda table, _: second.append(table))
    stop()
    ledger.stamp_call(**call())
    assert (first, second) == ([], ["ledger"])


def test_a_listener_may_stamp_and_subscribe(ledger: Ledger) -> None:
    stops: list[Callable[[], None]] = []

    def listener(table: str, fields: Mapping[str, Any]) -> None:
        if table == "ledger":
            ledger.stamp_tool_call(**tool_call(request_id=fields["request_id"]))
            stops.append(ledger.subscribe(lambda *_: None))

    ledger.subscribe(listener)
    ledger.stamp_call(**call())
    assert len(ledger.rows("audit")) == 1
    assert len(stops) == 1


# -- calls whose answer was not there yet -----------------------------------------------------------------------------

UNKNOWN: dict[str, Any] = {"prompt_tokens": None, "completion_tokens": None, "evidence": "partial"}


def test_an_unfinished_call_says_who_made_it(ledger: Ledger) -> None:
    who = {"customer_id": "acme", "session_id": "s", "feature": "f"}
    ledger.stamp_call(**call(request_id="1", response_id="resp_1", **UNKNOWN, **who))
    ledger.stamp_call(**call(request_id="2", response_id="resp_2", **UNKNOWN))
    ledger.stamp_call(**call(request_id="3", response_id="resp_3"))
    found = ledger.unfinished_call("resp_1")
    assert found == {"ts": call()["ts"], "agent_id": "a", "request_id": "1", **who}
    assert ledger.unfinished_call("resp_2") == {**found, "request_id": "2", **dict.fromkeys(who)}
    assert ledger.unfinished_call("resp_3") is None, "it has its tokens"
    assert ledger.unfinished_call("resp_4") is None


def test_an_unfinished_call_is_found_while_others_write(ledger: Ledger) -> None:
    ledger.stamp_call(**call(response_id="resp_1", **UNKNOWN))
    with locked(ledger):
        assert ledger.unfinished_call("resp_1") is not None


@pytest.mark.parametrize("odd", [None, 5, 2**70, [], "\ud800", "a\0b", object()])
def test_asking_for_an_unfinished_call_never_raises(ledger: Ledger, odd: Any) -> None:
    assert ledger.unfinished_call(odd) is None


def test_asking_when_the_file_cannot_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(empty_file())
    ledger = Ledger(path)
    path.write_text("something else " * 100)
    assert ledger.unfinished_call("resp_1") is None
    ledger.stamp_call(**call())
    assert sum(number or 0 for number in spool.waiting(path).values()) == 1
    ledger.close()
