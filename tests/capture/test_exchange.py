"""What becomes of one API call, whatever its answer looks like and wherever it is read."""

from __future__ import annotations

import contextvars
import logging
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import replay
from support import call, tool_call

from agent_ledger import Ledger, attribute, attribution
from agent_ledger.attribution import Attribution, current_run, last_request_id
from agent_ledger.capture import exchange as module
from agent_ledger.capture.exchange import Exchange, warn_once

MESSAGE, COMPLETION, RESPONSE = (
    replay.anthropic_message()["id"],
    replay.openai_completion()["id"],
    replay.openai_response()["id"],
)
EMBEDDING = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}
QUEUED = {**replay.openai_response(), "status": "queued", "background": True, "output": [], "usage": None}
ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_x"}
ITERATIONS: dict[str, Any] = {
    "input_tokens": 30,
    "output_tokens": 3,
    "iterations": [
        {"type": "compaction", "input_tokens": 500, "output_tokens": 50},
        {"type": "message", "input_tokens": 30, "output_tokens": 3},
        {"type": "advisor_message", "model": "claude-opus-4-1", "input_tokens": 7, "output_tokens": 1},
    ],
}
SECRET = "the patient's name is Mia"


@pytest.fixture(autouse=True)
def _nothing_said_yet_and_nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "_said", set())
    before = attribution._scope.set(attribution._NOWHERE)
    yield
    attribution._scope.reset(before)


@pytest.fixture
def in_run() -> Iterator[Callable[[], int]]:
    """Inside of an agent: how many of its calls are under way?"""
    with attribute(agent_id="a", customer_id="acme", feature="f", session_id="s"):
        run = current_run()
        assert run
        yield lambda: run.in_flight
        assert run.in_flight == 0


def tokens(ledger: Ledger, view: str = "ledger") -> list[tuple[Any, ...]]:
    rows = sorted(ledger.rows(view), key=lambda row: row["id"])
    return [(row["request_id"], row["part"], row["prompt_tokens"], row["completion_tokens"]) for row in rows]


def only(ledger: Ledger, *names: str) -> tuple[Any, ...]:
    (row,) = ledger.rows("ledger")
    return tuple(row[name] for name in names)


# -- whole answers ----------------------------------------------------------------------------------------------------


def test_an_answer_becomes_a_row_with_who_asked_when_and_what(ledger: Ledger, in_run: Callable[[], int]) -> None:
    exchange = Exchange(ledger, provider="azure", model="asked", region="eu", ts="2026-01-15T12:00:00.000Z")
    assert in_run() == 1
    exchange.answered("req_1")
    exchange.body(replay.openai_completion(prompt_tokens=7))
    (row,) = ledger.rows("ledger")
    del row["id"]
    assert {name: value for name, value in row.items() if value is not None} == {
        "ts": "2026-01-15T12:00:00.000Z",
        "agent_id": "a",
        "request_id": "req_1",
        "prompt_tokens": 7,
        "completion_tokens": 20,
        "model": "gpt-4o-2024-08-06",
        "provider": "azure",
        "customer_id": "acme",
        "session_id": "s",
        "feature": "f",
        "region": "eu",
        "response_id": COMPLETION,
        "part": 0,
        "evidence": "response",
    }


@pytest.mark.usefixtures("in_run")
def test_several_inferences_of_one_answer_share_its_request(ledger: Ledger) -> None:
    exchange = Exchange(ledger)
    exchange.answered("req_1")
    exchange.body(replay.anthropic_message(**ITERATIONS))
    assert tokens(ledger) == [("req_1", 0, 500, 50), ("req_1", 1, 30, 3), ("req_1", 2, 7, 1)]
    assert [row["model"] for row in ledger.rows("ledger")] == ["claude-sonnet-4-5-20250929"] * 2 + ["claude-opus-4-1"]
    assert {row["response_id"] for row in ledger.rows("ledger")} == {MESSAGE}
    assert tokens(ledger, "usage") == tokens(ledger), "all of them count"


@pytest.mark.usefixtures("in_run")
def test_an_embedding(ledger: Ledger) -> None:
    exchange = Exchange(ledger, provider="openai")
    exchange.body(EMBEDDING)
    assert only(ledger, "prompt_tokens", "completion_tokens", "response_id") == (8, 0, None)
    (request_id,) = only(ledger, "request_id")
    assert len(request_id) == 26, "nobody gave an id, so one is made"
    assert last_request_id() == request_id


@pytest.mark.parametrize(
    "body", [ERROR, {"error": {"message": "no"}}, {"input_tokens": 9}, {"object": "batch", "status": "in_progress"}]
)
def test_what_is_no_inference_makes_no_row(ledger: Ledger, in_run: Callable[[], int], body: Any) -> None:
    Exchange(ledger).body(body)
    Exchange(ledger).events([body])
    assert ledger.rows("ledger") == []
    assert in_run() == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"object": "video", "status": "queued"}, "A response with the fields object, status is of no known shape.*"),
        ({"choices": [], "model": "m", "usage": SECRET}, "usage is something else: an object is expected.*"),
        (replay.openai_completion(prompt_tokens=-1.5), "prompt_tokens is -1.5: a count is a whole number.*"),
        (None, "A response is a NoneType.*"),
        (SECRET, "A response is a str.*"),
        (b"\xff", "A response is a bytes.*"),
        ([1], "A stream's event is a int.*"),
        ({7: 8}, "A response with the fields 7 is of no known shape.*"),
    ],
)
def test_what_nobody_understands_is_a_call_with_unknown_tokens(ledger: Ledger, body: Any, reason: str) -> None:
    exchange = Exchange(ledger, provider="p", model=lambda: "asked")
    exchange.answered("req_1")
    exchange.body(body)
    assert only(ledger, "model", "provider", "prompt_tokens", "completion_tokens", "evidence", "request_id") == (
        "asked", "p", None, None, "partial", "req_1",
    )  # fmt: skip
    (anomaly,) = only(ledger, "anomaly")
    assert re.fullmatch(f"not understood: {reason}", anomaly)
    assert len(anomaly) < 400
    assert "Mia" not in str(ledger.rows("ledger"))


class Broken(dict[str, Any]):
    """An answer that fails in our hands."""

    def get(self, *_: Any) -> Any:
        raise RuntimeError(SECRET)


def test_a_bug_in_reading_leaves_a_row_and_no_word_of_the_answer(ledger: Ledger) -> None:
    Exchange(ledger).body(Broken(a=1))
    assert only(ledger, "model", "agent_id", "anomaly") == (
        "(unknown)",
        "(unattributed)",
        "not understood: RuntimeError",
    )


def test_the_model_of_the_request_is_asked_for_only_where_the_answer_names_none(ledger: Ledger) -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append("asked")
        return "of the request"

    Exchange(ledger, model=ask).body(replay.openai_completion())
    assert asked == []
    nameless = {name: value for name, value in replay.openai_completion("chatcmpl-2").items() if name != "model"}
    Exchange(ledger, model=ask).body(nameless)
    Exchange(ledger, model=ask).events([], complete=False)
    Exchange(ledger, model="given").body({**nameless, "id": "chatcmpl-3"})
    assert [row["model"] for row in ledger.rows("ledger")] == [
        "gpt-4o-2024-08-06", "of the request", "of the request", "given",
    ]  # fmt: skip
    assert [row["prompt_tokens"] for row in ledger.rows("ledger")] == [100, 100, None, 100]
    assert len(asked) == 2


def test_a_model_that_can_not_be_asked_for_costs_no_row(ledger: Ledger) -> None:
    Exchange(ledger, model=lambda: str(1 / 0)).events([], complete=False)
    Exchange(ledger, model=lambda: None).body({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
    assert [row["model"] for row in ledger.rows("ledger")] == ["(unknown)"] * 2
    assert [row["anomaly"] is None for row in ledger.rows("ledger")] == [True, False]


# -- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("in_run")
@pytest.mark.parametrize(
    ("events", "body"),
    [
        (replay.anthropic_stream(), replay.anthropic_message()),
        (replay.openai_stream(), replay.openai_completion()),
        ([{"type": "response.completed", "response": replay.openai_response()}], replay.openai_response()),
    ],
)
def test_streamed_is_as_unstreamed(ledger: Ledger, events: list[dict[str, Any]], body: dict[str, Any]) -> None:
    Exchange(ledger).events(events)
    Exchange(ledger, who=Attribution("b")).body({**body, "id": "another"})
    streamed, whole = ledger.rows("ledger")
    different = {
        "id",
        "ts",
        "request_id",
        "response_id",
        "agent_id",
        "customer_id",
        "session_id",
        "feature",
        "evidence",
    }
    assert {key: value for key, value in streamed.items() if key not in different} == {
        key: value for key, value in whole.items() if key not in different
    }
    assert (streamed["evidence"], whole["evidence"]) == ("stream", "response")
    assert streamed["response_id"] == body["id"]
    assert streamed["request_id"] not in (None, whole["request_id"])


def test_a_stream_that_is_left_early_keeps_what_is_known(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    events = replay.anthropic_stream()
    for count in range(2, len(events) + 1):
        exchange = Exchange(ledger)
        exchange.answered(f"req_{count}")
        exchange.events([{**event} for event in events[:count]], complete=count == len(events))
    found = [(row["evidence"], row["prompt_tokens"], row["completion_tokens"]) for row in ledger.rows("ledger")]
    assert found == [("partial", 1200, 1)] * 4 + [("stream", 1200, 300)] * 2
    assert not caplog.records


@pytest.mark.usefixtures("in_run")
@pytest.mark.parametrize("events", [[], [{"type": "ping"}]])
def test_a_stream_that_is_left_before_it_says_anything(ledger: Ledger, events: list[Any]) -> None:
    exchange = Exchange(ledger, provider="anthropic", model="claude-sonnet-4-5")
    exchange.answered("req_1")
    exchange.events(events, complete=False)
    assert only(ledger, "request_id", "model", "prompt_tokens", "completion_tokens", "evidence", "anomaly") == (
        "req_1", "claude-sonnet-4-5", None, None, "partial", None,
    )  # fmt: skip
    Exchange(ledger).events(events)
    assert len(ledger.rows("ledger")) == 1, "one that ends empty was no call"


def test_a_stream_that_is_left_without_ids_or_headers(ledger: Ledger) -> None:
    Exchange(ledger).events([], complete=False)
    assert only(ledger, "model", "provider", "prompt_tokens", "evidence") == ("(unknown)", None, None, "partial")
    assert len(only(ledger, "request_id")[0]) == 26


def test_a_stream_without_usage_is_a_call_of_unknown_cost_and_one_warning_says_the_remedy(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        Exchange(ledger).events(replay.openai_stream(f"chatcmpl-{number}", with_usage=False))
    assert [(row["prompt_tokens"], row["completion_tokens"], row["evidence"]) for row in ledger.rows("ledger")] == [
        (None, None, "stream")
    ] * 3
    (warning,) = caplog.records
    assert (warning.name, warning.levelname) == ("agent_ledger", "WARNING")
    assert 'stream_options={"include_usage": True}' in warning.getMessage()
    assert [row["calls"] for row in ledger.rows("unpriced_calls")] == [3]


def test_a_stream_that_is_left_before_its_usage_warns_of_nothing(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    Exchange(ledger).events(replay.openai_stream(with_usage=True)[:3], complete=False)
    assert only(ledger, "prompt_tokens", "evidence", "response_id") == (None, "partial", COMPLETION)
    assert not caplog.records


def test_events_of_no_known_shape(ledger: Ledger) -> None:
    Exchange(ledger, model="m").events([{"odd": 1}, {"odd": 2}])
    assert only(ledger, "model", "prompt_tokens", "evidence") == ("m", None, "partial")
    assert only(ledger, "anomaly")[0].startswith("not understood: A stream whose events have the fields odd / odd is")
    Exchange(ledger).events([{f"{letter}" * 200: 1} for letter in "abc"])
    assert len(ledger.rows("ledger")[1]["anomaly"]) < 330


def test_a_warning_is_said_once_in_the_life_of_a_process(caplog: pytest.LogCaptureFixture) -> None:
    for sentence in ("one", "two", "one"):
        warn_once(sentence)
    assert [record.getMessage() for record in caplog.records] == ["one", "two"]


# -- batches ----------------------------------------------------------------------------------------------------------

BATCH = [
    {"custom_id": "1", "result": {"type": "succeeded", "message": replay.anthropic_message("msg_" + "1" * 20)}},
    {"custom_id": "2", "result": {"type": "errored", "error": ERROR}},
    {"id": "batch_req_3", "custom_id": "3", "response": {"status_code": 200, "body": replay.openai_completion()}},
    {"id": "batch_req_4", "custom_id": "4", "response": {"status_code": 200, "body": EMBEDDING}},
    {"id": "batch_req_5", "custom_id": "5", "response": {"status_code": 200, "body": {"odd": 1}}},
    {"id": "batch_req_6", "custom_id": "6", "response": {"status_code": 400, "body": {"error": {"message": "no"}}}},
]


def test_the_results_of_a_batch_are_calls_however_often_they_are_fetched(
    ledger: Ledger, in_run: Callable[[], int]
) -> None:
    before = Exchange(ledger)
    before.answered("before")
    before.failed()
    for _ in range(2):
        exchange = Exchange(ledger)
        exchange.results(BATCH)
        exchange.results(BATCH)
        assert in_run() == 0
    assert tokens(ledger) == [
        ("msg_" + "1" * 20, 0, 1200, 300),
        (COMPLETION, 0, 100, 20),
        ("batch_req_4", 0, 8, 0),
        ("batch_req_5", 0, None, None),
    ]
    assert [row["service_tier"] for row in ledger.rows("ledger")] == ["batch"] * 3 + [None]
    assert {row["agent_id"] for row in ledger.rows("ledger")} == {"a"}
    assert last_request_id() == "before", "what follows belongs to none of them"


def test_a_batch_that_another_agent_fetches_again_counts_once(ledger: Ledger) -> None:
    for name in ("a", "b"):
        with attribute(agent_id=name):
            Exchange(ledger).results(BATCH[:1])
    assert len(ledger.rows("ledger")) == 2
    assert len(ledger.rows("usage")) == 1


@pytest.mark.parametrize("line", [None, SECRET, 7, {"custom_id": "1", "result": SECRET}])
def test_a_line_of_a_batch_that_is_odd(ledger: Ledger, line: Any) -> None:
    Exchange(ledger, model="m").results([line, BATCH[0]])
    odd, sound = ledger.rows("ledger")
    assert odd["anomaly"].startswith("not understood: ")
    assert "Mia" not in str(odd)
    assert sound["prompt_tokens"] == 1200


def test_the_id_of_the_runtime_is_not_that_of_every_result(ledger: Ledger) -> None:
    with attribute(agent_id="a", request_id="mine"):
        Exchange(ledger).results(BATCH)
    assert "mine" not in {row["request_id"] for row in ledger.rows("ledger")}


# -- in the background ------------------------------------------------------------------------------------------------


def begin(ledger: Ledger) -> None:
    exchange = Exchange(ledger, provider="openai", region="eu")
    exchange.answered("req_1")
    exchange.body(QUEUED)


@pytest.mark.parametrize("request_id", [None, "mine"])
def test_a_call_in_the_background_is_completed_by_a_poll_from_anywhere(ledger: Ledger, request_id: str | None) -> None:
    with attribute(agent_id="a", customer_id="acme", feature="f", session_id="s", request_id=request_id):
        begin(ledger)
    (before,) = ledger.rows("ledger")
    assert (before["evidence"], before["prompt_tokens"], before["response_id"]) == ("partial", None, RESPONSE)
    assert before["model"] == "gpt-5-2025-08-07"
    with attribute(agent_id="poller", customer_id="other"):
        for status in ("queued", "in_progress"):
            Exchange(ledger, provider="openai").polled({**QUEUED, "status": status})
        assert last_request_id() is None
        assert len(ledger.rows("ledger")) == 1
        for _ in range(3):
            Exchange(ledger, provider="openai", region="eu").polled(replay.openai_response())
        assert last_request_id() == (request_id or "req_1"), "the tools that it asks for belong to the call"
        run = current_run()
        assert run
        assert run.in_flight == 0
    (row,) = ledger.rows("usage")
    assert len(ledger.rows("ledger")) == 2
    for name in ("ts", "agent_id", "customer_id", "feature", "session_id", "request_id", "model", "provider", "region"):
        assert row[name] == before[name], name
    assert (row["prompt_tokens"], row["completion_tokens"], row["evidence"]) == (100, 20, "response")


def test_polls_of_other_responses_make_no_row(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    Exchange(ledger).polled(replay.openai_response("resp_of_somebody_else_0001"))
    assert ledger.rows("ledger") == []
    Exchange(ledger).body(replay.openai_response())
    for body in (replay.openai_response(), QUEUED, ERROR, {"odd": 1}, None, SECRET, EMBEDDING):
        Exchange(ledger).polled(body)
    assert not caplog.records
    Exchange(ledger).polled(Broken(a=1))
    assert len(caplog.records) == len(ledger.rows("ledger")) == 1


def test_a_poll_that_brings_no_counts_leaves_the_call_open(ledger: Ledger) -> None:
    begin(ledger)
    Exchange(ledger, provider="openai").polled(replay.openai_response(status="failed", usage=None))
    assert only(ledger, "evidence", "prompt_tokens") == ("partial", None)


def test_a_stream_in_the_background_that_is_left_is_completed_by_a_poll(ledger: Ledger) -> None:
    events = [
        {"type": f"response.{status}", "response": {**QUEUED, "status": status}} for status in ("queued", "in_progress")
    ]
    Exchange(ledger, provider="openai").events(events, complete=False)
    assert only(ledger, "response_id", "prompt_tokens", "evidence") == (RESPONSE, None, "partial")
    Exchange(ledger, provider="openai").polled(replay.openai_response())
    assert [row["prompt_tokens"] for row in ledger.rows("usage")] == [100]


# -- who, and which request -------------------------------------------------------------------------------------------


def test_who_asks_is_who_asked_when_the_request_went_out(ledger: Ledger) -> None:
    with attribute(agent_id="asker", customer_id="acme"):
        exchanges = [Exchange(ledger) for _ in range(3)]
        for number, exchange in enumerate(exchanges):
            exchange.answered(f"req_{number}")
        asker = current_run()
    with attribute(agent_id="reader"):
        exchanges[0].events(replay.openai_stream("chatcmpl-0"))
        assert last_request_id() is None
    contextvars.Context().run(exchanges[1].body, replay.openai_completion("chatcmpl-1"))
    thread = threading.Thread(target=exchanges[2].body, args=[replay.openai_completion("chatcmpl-2")])
    thread.start()
    thread.join()
    assert asker
    assert asker.in_flight == 0
    assert {(row["agent_id"], row["customer_id"]) for row in ledger.rows("ledger")} == {("asker", "acme")}
    assert [row["request_id"] for row in ledger.rows("ledger")] == ["req_0", "req_1", "req_2"]


def test_defaults_fill_what_the_context_does_not_say(ledger: Ledger) -> None:
    defaults = Attribution("default", "shop", "chat", None)
    with attribute(agent_id="a", session_id="s", feature=None):
        Exchange(ledger, defaults=defaults).body(replay.openai_completion("chatcmpl-1"))
    Exchange(ledger, defaults=defaults).body(replay.openai_completion("chatcmpl-2"))
    Exchange(ledger, who=Attribution("who"), defaults=defaults).body(replay.openai_completion("chatcmpl-3"))
    Exchange(ledger).body(replay.openai_completion("chatcmpl-4"))
    found = [
        tuple(row[name] for name in ("agent_id", "customer_id", "feature", "session_id"))
        for row in ledger.rows("ledger")
    ]
    assert found == [
        ("a", "shop", "chat", "s"),
        ("default", "shop", "chat", None),
        ("who", "shop", "chat", None),
        ("(unattributed)", None, None, None),
    ]


def test_the_id_of_the_request_is_the_runtimes_else_the_headers_else_one_of_its_own(ledger: Ledger) -> None:
    with attribute(agent_id="a", request_id="mine"):
        exchange = Exchange(ledger)
        exchange.answered("req_1")
        exchange.body(replay.openai_completion("chatcmpl-1"))
        Exchange(ledger).body(replay.openai_completion("chatcmpl-2"))
        assert last_request_id() == "mine"
    with attribute(agent_id="a"):
        exchange = Exchange(ledger)
        exchange.answered("req_3")
        assert last_request_id() == "req_3", "before the body is there"
        exchange.answered(None)
        exchange.body(replay.openai_completion("chatcmpl-3"))
        assert last_request_id() == "req_3"
        exchange = Exchange(ledger)
        exchange.answered(None)
        assert last_request_id() == "req_3"
        exchange.body(replay.openai_completion("chatcmpl-4"))
        own = last_request_id()
        assert own not in ("req_3", "chatcmpl-4")
        Exchange(ledger).body(replay.openai_completion("chatcmpl-4"))  # a server may give every answer the same id
    assert [row["request_id"] for row in ledger.rows("ledger")][:4] == ["mine", "mine", "req_3", own]
    assert len(ledger.rows("usage")) == 5


def test_a_tool_call_joins_to_the_call_that_asked_for_it(ledger: Ledger) -> None:
    with attribute(agent_id="a"):
        exchange = Exchange(ledger)
        exchange.answered("req_1")
        exchange.events(replay.anthropic_stream())
        ledger.record_tool_call(**tool_call(request_id=last_request_id()))
    assert ledger.rows("orphan_tool_calls") == []
    assert ledger.rows("audit")[0]["request_id"] == "req_1"


# -- how it ends ------------------------------------------------------------------------------------------------------

ENDINGS: dict[str, Callable[[Exchange], None]] = {
    "body": lambda exchange: exchange.body(replay.openai_completion()),
    "error": lambda exchange: exchange.body(ERROR),
    "odd body": lambda exchange: exchange.body(None),
    "events": lambda exchange: exchange.events(replay.openai_stream()),
    "cut": lambda exchange: exchange.events([], complete=False),
    "odd events": lambda exchange: exchange.events([None]),  # type: ignore[list-item]
    "no events": lambda exchange: exchange.events(None),  # type: ignore[arg-type]
    "results": lambda exchange: exchange.results(BATCH),
    "no results": lambda exchange: exchange.results(None),  # type: ignore[arg-type]
    "polled": lambda exchange: exchange.polled(replay.openai_response()),
    "odd poll": lambda exchange: exchange.polled(None),
    "failed": lambda exchange: exchange.failed(),
}


class Refusing:
    """A ledger that breaks its promise."""

    def stamp_call(self, **_: Any) -> None:
        raise OSError("disk full")

    def stamp_tool_call(self, **_: Any) -> None:
        raise OSError("disk full")

    def unfinished_call(self, _: str) -> dict[str, Any] | None:
        raise OSError("disk full")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_call_is_over_once_however_it_ends(ledger: Ledger, in_run: Callable[[], int], ending: str) -> None:
    neighbour = Exchange(ledger)
    exchange = Exchange(ledger)
    assert in_run() == 2
    ENDINGS[ending](exchange)
    assert in_run() == 1
    count = len(ledger.rows("ledger"))
    for again in ("body", "events", "failed", ending):
        ENDINGS[again](exchange)
    assert in_run() == 1
    assert len(ledger.rows("ledger")) == count
    neighbour.failed()


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_ever_raised(in_run: Callable[[], int], ending: str, caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange(Refusing(), model=lambda: str(1 / 0), defaults=Attribution())
    exchange.answered("req_1")
    ENDINGS[ending](exchange)
    assert in_run() == 0
    assert {record.levelno for record in caplog.records} <= {logging.WARNING}


def test_a_failed_attempt_is_no_call(ledger: Ledger, in_run: Callable[[], int]) -> None:
    for _ in range(2):
        Exchange(ledger).failed()
    assert last_request_id() is None
    exchange = Exchange(ledger)
    exchange.answered("req_3")
    exchange.body(replay.anthropic_message())
    assert tokens(ledger) == [("req_3", 0, 1200, 300)]
    assert in_run() == 0


def test_calls_under_way_at_once_are_noticed(ledger: Ledger) -> None:
    with attribute(agent_id="a"):
        run = current_run()
        assert run
        for number in range(2):
            Exchange(ledger).body(replay.openai_completion(f"chatcmpl-{number}"))
        assert not run.parallel
        first, second = Exchange(ledger), Exchange(ledger)
        assert run.parallel
        first.failed()
        second.failed()


def test_what_the_ledger_will_not_take_costs_the_value_only(ledger: Ledger) -> None:
    exchange = Exchange(ledger, region="\0", provider=7)  # type: ignore[arg-type]
    exchange.answered("req\0")
    exchange.body(replay.openai_completion())
    assert only(ledger, "prompt_tokens", "region", "provider", "response_id") == (100, None, None, COMPLETION)


def test_a_row_recorded_by_hand_too_counts_once(ledger: Ledger) -> None:
    ledger.record_call(**call(request_id="req_1", prompt_tokens=1200, completion_tokens=300))
    with attribute(agent_id="a"):
        exchange = Exchange(ledger)
        exchange.answered("req_1")
        exchange.body(replay.anthropic_message())
    (row,) = ledger.rows("usage")
    assert row["evidence"] == "response"
