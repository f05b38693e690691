from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from replay import (
    Answer,
    Replay,
    Request,
    anthropic_message,
    anthropic_stream,
    openai_completion,
    openai_response,
)

from agent_ledger import Ledger
from agent_ledger.attribution import attribute, current_run, last_request_id
from agent_ledger.capture import http

ASK: Any = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Pay?"}]}
CHAT: Any = {"model": "gpt-4o", "messages": ASK["messages"]}
READY: Any = {"api_key": "x", "max_retries": 0}
ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "later"}}


def busy(status: int = 529) -> Answer:
    return replace(Answer.json(ERROR, request_id="req_failed", retry_after_ms="1"), status=status)


def columns(ledger: Ledger, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in ledger.rows("ledger")]


def test_one_row_whatever_the_retries(ledger: Ledger) -> None:
    answers = (busy(), busy(429), Answer.json(anthropic_message(), request_id="req_good"))
    with Replay(*answers) as server, anthropic.Anthropic(base_url=server.url, api_key="x", max_retries=3) as client:
        http.attach(client, ledger)
        assert client.messages.create(**ASK)._request_id == "req_good"
        assert len(server.requests) == 3
    assert columns(ledger, "request_id", "prompt_tokens") == [("req_good", 1200)]


def test_one_row_whatever_the_retries_of_a_stream(ledger: Ledger) -> None:
    async def call(url: str) -> None:
        async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=3) as client:
            http.attach(client, ledger)
            events = await client.responses.create(model="gpt-5", input="?", stream=True)
            assert [event.type async for event in events] == ["response.completed"]

    done = {"type": "response.completed", "sequence_number": 0, "response": openai_response()}
    with Replay(busy(), busy(500), Answer.sse([done], x_request_id="req_good")) as server:
        asyncio.run(call(server.url))
        assert len(server.requests) == 3
    assert columns(ledger, "request_id", "prompt_tokens", "evidence") == [("req_good", 100, "stream")]


def test_an_attempt_that_breaks_before_its_answer_is_complete(ledger: Ledger) -> None:
    body = json.dumps(anthropic_message()).encode()
    kind = {"content-type": "application/json"}
    broken = Answer([body[:50]], headers=kind, cut=True)
    whole = Answer.json(anthropic_message())
    with Replay(broken, whole) as server, anthropic.Anthropic(base_url=server.url, api_key="x") as client:
        http.attach(client, ledger)
        client.messages.create(**ASK)
        assert len(server.requests) == 2
    assert columns(ledger, "prompt_tokens", "evidence") == [(1200, "response")]


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 529])
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_is_no_call(ledger: Ledger, status: int, stream: bool) -> None:
    with Replay(busy(status)) as server, anthropic.Anthropic(base_url=server.url, **READY) as client:
        http.attach(client, ledger)
        with attribute(agent_id="a"), pytest.raises(anthropic.APIStatusError) as error:
            client.messages.create(**ASK, stream=stream)
        assert error.value.request_id == "req_failed"
    assert ledger.rows("ledger") == []


def test_nothing_stays_under_way(ledger: Ledger) -> None:
    answers = [busy(400), Answer(b"{", headers={"content-type": "application/json"}), Answer.json(anthropic_message())]
    with Replay(*answers) as server, anthropic.Anthropic(base_url=server.url, **READY) as client:
        http.attach(client, ledger)
        with attribute(agent_id="a"):
            run = current_run()
            assert run
            for _ in answers:
                with suppress(anthropic.AnthropicError, ValueError):
                    client.messages.create(**ASK)
                assert (run.in_flight, run.parallel) == (0, False)
            client.base_url = "http://127.0.0.1:9"
            with pytest.raises(anthropic.APIConnectionError):
                client.messages.create(**ASK)
            assert run.in_flight == 0


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("request-id", {"x-amzn-requestid": "other"}),
        ("x-request-id", {"apim-request-id": "other"}),
        ("x-amzn-requestid", {}),
        ("apim-request-id", {"x-ms-request-id": "other"}),
        ("x-ms-request-id", {}),
        ("mistral-correlation-id", {}),
    ],
)
def test_the_id_of_the_request(ledger: Ledger, name: str, more: dict[str, str]) -> None:
    answer = Answer.json(openai_completion())
    answer = replace(answer, headers={**answer.headers, **more, name: "the one"})
    with Replay(answer) as server, openai.OpenAI(base_url=server.url, **READY) as client:
        http.attach(client, ledger)
        client.chat.completions.create(**CHAT)
        assert last_request_id() == "the one"
    assert columns(ledger, "request_id") == [("the one",)]


def test_tools_that_follow_a_stream_know_its_request_while_it_runs(ledger: Ledger) -> None:
    with (
        Replay(Answer.sse(anthropic_stream(), request_id="req_1")) as server,
        anthropic.Anthropic(base_url=server.url, **READY) as client,
        attribute(agent_id="a"),
    ):
        http.attach(client, ledger)
        for _ in client.messages.create(**ASK, stream=True):
            assert last_request_id() == "req_1"


def test_calls_in_parallel_keep_apart(ledger: Ledger) -> None:
    def answer(request: Request) -> Answer:
        name = request.json["messages"][0]["content"]
        return replace(Answer.sse(anthropic_stream(f"msg_{name}"), request_id=f"req_{name}"), delay=0.002)

    async def one(client: anthropic.AsyncAnthropic, name: str) -> None:
        with attribute(agent_id=name):
            async with client.messages.stream(**ASK | {"messages": [{"role": "user", "content": name}]}) as stream:
                async for _ in stream:
                    assert last_request_id() == f"req_{name}"

    async def all_at_once(url: str) -> None:
        async with anthropic.AsyncAnthropic(base_url=url, **READY) as client:
            http.attach(client, ledger)
            await asyncio.gather(*(one(client, f"t{number}") for number in range(20)))

    def in_threads(url: str) -> None:
        with anthropic.Anthropic(base_url=url, **READY) as client:
            http.attach(client, ledger)

            def work(name: str) -> None:
                with attribute(agent_id=name):
                    ask = ASK | {"messages": [{"role": "user", "content": name}]}
                    assert len(list(client.messages.create(**ask, stream=True))) == 6

            threads = [threading.Thread(target=work, args=(f"s{number}",)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    with Replay(answer) as server:
        asyncio.run(all_at_once(server.url))
        in_threads(server.url)
    names = [f"t{number}" for number in range(20)] + [f"s{number}" for number in range(8)]
    assert sorted(columns(ledger, "agent_id", "request_id", "response_id")) == sorted(
        (name, f"req_{name}", f"msg_{name}") for name in names
    )


# -- what the request says --------------------------------------------------------------------------------------------


def at(url: str, body: Any, **headers: str) -> httpx2.Client:
    """A client for which somebody answers at `url`, wherever it is."""
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=body, headers=headers))
    return httpx2.Client(base_url=url, transport=transport)


@pytest.mark.parametrize(
    ("url", "path", "body", "expected"),
    [
        ("https://api.openai.com", "/v1/chat/completions", openai_completion(), ("openai", None)),
        ("https://eu.api.openai.com", "/v1/chat/completions", openai_completion(), ("openai", "eu")),
        ("https://api.groq.com", "/openai/v1/chat/completions", openai_completion(), ("groq", None)),
        ("https://a.openai.azure.com", "/openai/deployments/d/chat/completions", openai_completion(), ("azure", None)),
        ("https://us-east5-aiplatform.googleapis.com", "/v1/publishers/anthropic/models/claude-opus-4-8:rawPredict",
         anthropic_message(), ("google", None)),
        ("https://api.anthropic.com", "/v1/messages", anthropic_message(inference_geo="us"), ("anthropic", "us")),
        ("http://localhost", "/v1/messages", anthropic_message(), ("anthropic", None)),
        ("http://localhost", "/v1/chat/completions", openai_completion(), ("openai", None)),
    ],
)  # fmt: skip
def test_the_address_tells_the_provider_and_region(
    ledger: Ledger, url: str, path: str, body: Any, expected: tuple[str, str | None]
) -> None:
    with at(url, body) as client:
        http.attach(client, ledger)
        client.post(path, json=CHAT)
    assert columns(ledger, "provider", "region") == [expected]


def test_the_address_tells_the_model_where_the_answer_does_not(ledger: Ledger) -> None:
    usage = {"inputTokens": 5, "outputTokens": 6, "totalTokens": 11}
    body = {"output": {"message": {}}, "stopReason": "end_turn", "usage": usage}
    with at("https://bedrock-runtime.us-east-1.amazonaws.com", body, **{"x-amzn-RequestId": "r"}) as client:
        http.attach(client, ledger)
        client.post("/model/us.amazon.nova-pro-v1%3A0/converse", json={"messages": []})
    assert columns(ledger, "model", "provider", "request_id", "prompt_tokens") == [
        ("us.amazon.nova-pro-v1:0", "aws", "r", 5)
    ]


@pytest.mark.parametrize(
    ("body", "prompt"),
    [
        ({key: value for key, value in openai_completion().items() if key != "model"}, 100),
        ({"surprise": 1}, None),
        ({"model": "other", "surprise": 1}, None),
    ],
)
def test_the_request_tells_the_model_where_nothing_else_does(ledger: Ledger, body: Any, prompt: int | None) -> None:
    with Replay(Answer.json(body)) as server, openai.OpenAI(base_url=server.url, **READY) as client:
        http.attach(client, ledger)
        client.chat.completions.create(**CHAT)
    assert columns(ledger, "model", "prompt_tokens") == [("gpt-4o", prompt)]


@pytest.mark.parametrize("answer", [Answer(b"<html>", headers={"content-type": "text/html"}), Answer(b"")])
def test_an_answer_that_nobody_can_read_is_a_call_with_unknown_tokens(ledger: Ledger, answer: Answer) -> None:
    with Replay(answer) as server, openai.OpenAI(base_url=server.url, **READY) as client:
        http.attach(client, ledger)
        client.chat.completions.with_raw_response.create(**CHAT)
    assert columns(ledger, "model", "prompt_tokens", "evidence") == [("gpt-4o", None, "partial")]


def test_a_server_that_streams_unasked(ledger: Ledger) -> None:
    with Replay(Answer.sse(anthropic_stream())) as server, httpx2.Client(base_url=server.url) as client:
        http.attach(client, ledger)
        client.post("/v1/messages", json=ASK)
    assert columns(ledger, "prompt_tokens", "completion_tokens", "evidence") == [(1200, 300, "stream")]


def test_a_hook_that_reads_the_stream_first(ledger: Ledger) -> None:
    hooks: Any = {"response": [lambda response: response.read()]}
    with Replay(Answer.sse(anthropic_stream()).gzipped()) as server:
        client = anthropic.Anthropic(base_url=server.url, http_client=httpx2.Client(event_hooks=hooks), **READY)
        http.attach(client, ledger)
        assert len(list(client.messages.create(**ASK, stream=True))) == 6
        client.close()
    assert columns(ledger, "prompt_tokens", "completion_tokens") == [(1200, 300)]


# -- OpenAI in the background -----------------------------------------------------------------------------------------

QUEUED = openai_response(status="queued", background=True, output=[], usage=None)
RUNNING = {**QUEUED, "status": "in_progress"}
DONE = openai_response(background=True)


def test_a_poll_completes_what_the_background_left_open(ledger: Ledger) -> None:
    answers = (Answer.json(QUEUED, x_request_id="req_1"), Answer.json(RUNNING), Answer.json(DONE), Answer.json(DONE))
    with Replay(*answers) as server, openai.OpenAI(base_url=server.url, **READY) as client:
        http.attach(client, ledger)
        with attribute(agent_id="asker", customer_id="acme"):
            client.responses.create(model="gpt-5", input="?", background=True)
        assert columns(ledger, "prompt_tokens", "evidence") == [(None, "partial")]
        for _ in range(3):
            with attribute(agent_id="poller"):
                client.responses.retrieve(DONE["id"])
    rows = columns(ledger, "agent_id", "customer_id", "request_id", "response_id", "prompt_tokens")
    assert rows[0] == ("asker", "acme", "req_1", DONE["id"], None)
    assert set(rows[1:]) == {("asker", "acme", "req_1", DONE["id"], 100)}
    assert [row["completion_tokens"] for row in ledger.rows("usage")] == [20]


def test_a_stream_in_the_background_that_is_left_and_resumed(ledger: Ledger) -> None:
    started = {"type": "response.created", "sequence_number": 0, "response": RUNNING}
    completed = {"type": "response.completed", "sequence_number": 1, "response": DONE}
    answers = (replace(Answer.sse([started, completed]), hold=1), Answer.sse([completed]))
    with Replay(*answers) as server, openai.OpenAI(base_url=server.url, **READY) as client:
        http.attach(client, ledger)
        with client.responses.create(model="gpt-5", input="?", background=True, stream=True) as stream:
            next(stream)
        assert columns(ledger, "response_id", "prompt_tokens") == [(DONE["id"], None)]
        assert len(list(client.responses.retrieve(DONE["id"], stream=True))) == 1
    assert [(row["prompt_tokens"], row["completion_tokens"]) for row in ledger.rows("usage")] == [(100, 20)]


def test_other_polls_make_no_row(ledger: Ledger) -> None:
    with Replay(Answer.json(DONE)) as server, openai.OpenAI(base_url=server.url, **READY) as client:
        http.attach(client, ledger)
        client.responses.retrieve(DONE["id"])
        client.responses.cancel(DONE["id"])
        client.responses.delete(DONE["id"])
        client.responses.input_items.list(DONE["id"])
    assert ledger.rows("ledger") == []


# -- batches ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def batches() -> Iterator[Replay]:
    """A batch of two at Anthropic, one of two at OpenAI; one of each failed."""
    errors = {"custom_id": "3", "result": {"type": "errored", "error": ERROR}}
    good = [
        {"custom_id": str(n), "result": {"type": "succeeded", "message": anthropic_message(f"msg_{n}")}} for n in (1, 2)
    ]
    output = [
        {"id": f"b{n}", "custom_id": str(n), "error": None,
         "response": {"status_code": 200, "request_id": "r", "body": openai_completion(f"chatcmpl-{n}")}}
        for n in (1, 2)
    ]  # fmt: skip
    output.append(
        {"id": "b3", "custom_id": "3", "error": None, "response": {"status_code": 400, "body": {"error": {}}}}
    )

    def answer(request: Request) -> Answer:
        match request.path.partition("?")[0].split("/")[2:]:
            case ["messages", "batches", _, "results"]:
                return Answer(jsonl([*good, errors]), headers={"content-type": "application/x-jsonl"})
            case ["messages", "batches", *rest]:
                name = "".join(rest) or "msgbatch_1"
                return Answer.json({
                    "id": name, "type": "message_batch", "processing_status": "ended",
                    "results_url": f"{replay.url}/v1/messages/batches/{name}/results",
                })  # fmt: skip
            case ["batches", *rest]:
                return Answer.json({"id": "batch_1", "object": "batch", "output_file_id": "file-1" if rest else None})
            case ["files", "file-1", "content"]:
                return Answer(jsonl(output), headers={"content-type": "application/octet-stream"})
        return Answer(b"{}\n" + b"x" * 100_000, headers={"content-type": "application/octet-stream"})

    with Replay(answer) as replay:
        yield replay


def jsonl(lines: list[Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def test_results_of_a_batch_belong_to_who_made_it(ledger: Ledger, batches: Replay) -> None:
    with anthropic.Anthropic(base_url=batches.url, **READY) as client:
        http.attach(client, ledger)
        with attribute(agent_id="maker"):
            batch = client.messages.batches.create(requests=[])
        assert ledger.rows("ledger") == []
        for _ in range(2):
            with attribute(agent_id="fetcher"):
                results = list(client.messages.batches.results(batch.id))
                assert len(results) == 3
    rows = ledger.rows("usage")
    assert [(row["agent_id"], row["request_id"], row["service_tier"], row["prompt_tokens"]) for row in rows] == [
        ("maker", "msg_1", "batch", 1200),
        ("maker", "msg_2", "batch", 1200),
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_results_of_a_batch_in_a_file(ledger: Ledger, batches: Replay, stream: bool) -> None:
    with openai.OpenAI(base_url=f"{batches.url}/v1", **READY) as client:
        http.attach(client, ledger)
        with attribute(agent_id="maker"):
            client.batches.create(completion_window="24h", endpoint="/v1/chat/completions", input_file_id="f")
        with attribute(agent_id="fetcher"):
            name = client.batches.retrieve("batch_1").output_file_id
            assert name
            if stream:
                with client.files.with_streaming_response.content(name) as response:
                    assert len(list(response.iter_lines())) == 3
            else:
                assert client.files.content(name).text.count("\n") == 3
    assert columns(ledger, "agent_id", "request_id", "service_tier", "prompt_tokens") == [
        ("maker", "chatcmpl-1", "batch", 100),
        ("maker", "chatcmpl-2", "batch", 100),
    ]


def test_results_of_somebody_elses_batch_belong_to_who_fetches_them(ledger: Ledger, batches: Replay) -> None:
    async def fetch() -> None:
        async with anthropic.AsyncAnthropic(base_url=batches.url, **READY) as client:
            http.attach(client, ledger)
            with attribute(agent_id="fetcher"):
                async for _ in await client.messages.batches.results("msgbatch_unknown"):
                    pass

    asyncio.run(fetch())
    assert columns(ledger, "agent_id") == [("fetcher",)] * 2


def test_other_files_make_no_row(ledger: Ledger, batches: Replay) -> None:
    with openai.OpenAI(base_url=f"{batches.url}/v1", **READY) as client:
        http.attach(client, ledger)
        assert len(client.files.content("other").content) == 100_003
        with client.files.with_streaming_response.content("other") as response:
            assert len(response.read()) == 100_003
    assert ledger.rows("ledger") == []
