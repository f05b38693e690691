from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic
import httpx
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
    openai_stream,
)

from agent_ledger import Ledger
from agent_ledger.attribution import Attribution, attribute
from agent_ledger.capture import http

MODEL = "claude-sonnet-5"
ASK: Any = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "Pay?"}]}
CHAT: Any = {"model": "gpt-4o", "messages": ASK["messages"]}
EMBEDDINGS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}
READY: Any = {"api_key": "x", "max_retries": 0}


_numbers = itertools.count()


def answer(request: Request) -> Answer:
    """What the provider that is meant answers; each answer is another one."""
    found, number = provider_answer(request), next(_numbers)
    names = {"request-id": f"req_{number}", "x-request-id": f"req_{number}"}
    return replace(found, headers={**found.headers, **names})


def provider_answer(request: Request) -> Answer:
    path = request.path.partition("?")[0]
    asked = request.json
    if path.endswith("/count_tokens"):
        return Answer.json({"input_tokens": 5})
    if path.endswith(("/messages", ":rawPredict", "/invoke")):
        stream = asked.get("stream")
        return Answer.sse(anthropic_stream()) if stream else Answer.json(anthropic_message())
    if path.endswith("/invoke-with-response-stream"):
        return Answer.aws(anthropic_stream())
    if path.endswith(":streamRawPredict"):
        return Answer.sse(anthropic_stream())
    if path.endswith("/embeddings"):
        return Answer.json(EMBEDDINGS)
    if path.endswith("/responses"):
        done = openai_response()
        events = [{"type": "response.created", "sequence_number": 0, "response": {**done, "usage": None}},
                  {"type": "response.completed", "sequence_number": 1, "response": done}]  # fmt: skip
        return Answer.sse(events) if asked.get("stream") else Answer.json(done)
    assert path.endswith("/completions"), path
    return Answer.sse(openai_stream(), done=True) if asked.get("stream") else Answer.json(openai_completion())


@pytest.fixture
def server() -> Iterator[Replay]:
    with Replay(answer) as server:
        yield server


def tokens(ledger: Ledger) -> list[tuple[int | None, int | None]]:
    return [(row["prompt_tokens"], row["completion_tokens"]) for row in ledger.rows("ledger")]


def read(stream: Any) -> None:
    for _ in stream:
        pass


async def aread(stream: Any) -> None:
    async for _ in stream:
        pass


# -- Anthropic --------------------------------------------------------------------------------------------------------


def streamed_by_hand(client: Any) -> None:
    with client.messages.with_streaming_response.create(**ASK) as response:
        assert response.parse().usage.input_tokens == 1200


def helper(client: Any) -> None:
    with client.messages.stream(**ASK) as stream:
        assert stream.get_final_message().usage.output_tokens == 300


ANTHROPIC: dict[str, Callable[[Any], object]] = {
    "create": lambda client: client.messages.create(**ASK),
    "beta": lambda client: client.beta.messages.create(**ASK),
    "tools": lambda client: client.messages.create(
        **ASK, tools=[{"name": "pay", "input_schema": {"type": "object"}}], thinking={"type": "adaptive"}
    ),
    "raw": lambda client: client.messages.with_raw_response.create(**ASK).parse(),
    "options": lambda client: client.with_options(timeout=5).messages.create(**ASK),
    "stream": lambda client: read(client.messages.create(**ASK, stream=True)),
    "helper": helper,
    "by hand": streamed_by_hand,
}


@pytest.mark.parametrize("way", ANTHROPIC)
def test_anthropic(ledger: Ledger, server: Replay, way: str) -> None:
    with anthropic.Anthropic(base_url=server.url, **READY) as client:
        assert http.attach(client, ledger)
        ANTHROPIC[way](client)
        client.messages.count_tokens(model=MODEL, messages=ASK["messages"])
    assert tokens(ledger) == [(1200, 300)]


async def all_of_anthropic(url: str, ledger: Ledger) -> None:
    async with anthropic.AsyncAnthropic(base_url=url, **READY) as client:
        assert http.attach(client, ledger)
        await client.messages.create(**ASK)
        await client.beta.messages.create(**ASK)
        await client.with_options(timeout=5).messages.create(**ASK)
        await client.messages.with_raw_response.create(**ASK)
        await aread(await client.messages.create(**ASK, stream=True))
        async with client.messages.stream(**ASK) as stream:
            assert (await stream.get_final_message()).usage.output_tokens == 300
        async with client.messages.with_streaming_response.create(**ASK) as response:
            await response.parse()
        await client.messages.count_tokens(model=MODEL, messages=ASK["messages"])


def test_anthropic_async(ledger: Ledger, server: Replay) -> None:
    asyncio.run(all_of_anthropic(server.url, ledger))
    assert tokens(ledger) == [(1200, 300)] * 7
    assert [row["evidence"] for row in ledger.rows("ledger")] == ["response"] * 4 + ["stream"] * 2 + ["response"]


def test_iterations_that_the_stream_helper_drops(ledger: Ledger) -> None:
    once = {"input_tokens": 1200, "output_tokens": 100, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    iterations = [
        {"type": "message", **once},
        {"type": "advisor_message", "model": "claude-opus-4-8", **once},
        {"type": "message", **once, "output_tokens": 200},
    ]
    events = anthropic_stream()
    events[-2]["usage"] = {"input_tokens": 2400, "output_tokens": 300, "iterations": iterations}
    with Replay(Answer.sse(events)) as server, anthropic.Anthropic(base_url=server.url, **READY) as client:
        http.attach(client, ledger)
        with client.beta.messages.stream(**ASK) as stream:
            stream.get_final_message()
    assert [(row["part"], row["model"], row["completion_tokens"]) for row in ledger.rows("ledger")] == [
        (0, "claude-sonnet-4-5-20250929", 100),
        (1, "claude-opus-4-8", 100),
        (2, "claude-sonnet-4-5-20250929", 200),
    ]


def test_anthropic_where_others_serve_it(ledger: Ledger, server: Replay) -> None:
    url = server.url
    keys = {"aws_access_key": "x", "aws_secret_key": "x", "aws_region": "us-east-1"}
    clients: list[Any] = [
        anthropic.AnthropicBedrock(base_url=url, **keys),
        anthropic.AnthropicVertex(base_url=url, region="us-east5", project_id="p", access_token="x"),
        anthropic.AnthropicFoundry(base_url=url, api_key="x"),
    ]
    for client in clients:
        with client:
            assert http.attach(client, ledger)
            client.messages.create(**ASK)
            read(client.messages.create(**ASK, stream=True))
    assert tokens(ledger) == [(1200, 300)] * 6
    assert [row["evidence"] for row in ledger.rows("ledger")] == ["response", "stream"] * 3


# -- OpenAI -----------------------------------------------------------------------------------------------------------


def chat_helper(client: Any) -> None:
    with client.chat.completions.stream(**CHAT) as stream:
        stream.get_final_completion()


OPENAI: dict[str, tuple[Callable[[Any], object], tuple[int, int]]] = {
    "chat": (lambda client: client.chat.completions.create(**CHAT), (100, 20)),
    "chat stream": (lambda client: read(client.chat.completions.create(**CHAT, stream=True)), (100, 20)),
    "chat helper": (chat_helper, (100, 20)),
    "raw": (lambda client: client.chat.completions.with_raw_response.create(**CHAT), (100, 20)),
    "options": (lambda client: client.with_options(timeout=5).chat.completions.create(**CHAT), (100, 20)),
    "responses": (lambda client: client.responses.create(model="gpt-5", input="?"), (100, 20)),
    "responses stream": (
        lambda client: read(client.responses.create(model="gpt-5", input="?", stream=True)),
        (100, 20),
    ),
    "completions": (lambda client: client.completions.create(model="gpt-4o", prompt="?"), (100, 20)),
    "embeddings": (lambda client: client.embeddings.create(model="text-embedding-3-small", input="?"), (7, 0)),
}


@pytest.mark.parametrize("way", OPENAI)
@pytest.mark.parametrize("package", [httpx2, httpx], ids=["httpx2", "httpx"])
def test_openai(ledger: Ledger, server: Replay, way: str, package: Any) -> None:
    call, expected = OPENAI[way]
    with openai.OpenAI(base_url=f"{server.url}/v1", http_client=package.Client(), **READY) as client:
        assert http.attach(client, ledger)
        call(client)
    assert tokens(ledger) == [expected]


async def all_of_openai(url: str, http_client: Any, ledger: Ledger) -> None:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", http_client=http_client, **READY) as client:
        assert http.attach(client, ledger)
        await client.chat.completions.create(**CHAT)
        await aread(await client.chat.completions.create(**CHAT, stream=True))
        async with client.chat.completions.stream(**CHAT) as stream:
            await stream.get_final_completion()
        await client.responses.create(model="gpt-5", input="?")
        await aread(await client.responses.create(model="gpt-5", input="?", stream=True))
        async with client.responses.with_streaming_response.create(model="gpt-5", input="?") as response:
            await response.parse()
        await client.with_options(timeout=5).chat.completions.with_raw_response.create(**CHAT)


@pytest.mark.parametrize("package", [httpx2, httpx], ids=["httpx2", "httpx"])
def test_openai_async(ledger: Ledger, server: Replay, package: Any) -> None:
    asyncio.run(all_of_openai(server.url, package.AsyncClient(), ledger))
    assert tokens(ledger) == [(100, 20)] * 7


@pytest.mark.parametrize("at", ["azure_endpoint", "base_url"])
def test_azure(ledger: Ledger, server: Replay, at: str) -> None:
    with openai.AzureOpenAI(**{at: server.url}, api_version="2026-01-01", **READY) as client:
        assert http.attach(client, ledger, provider="azure")
        client.chat.completions.create(**CHAT)
        read(client.chat.completions.create(**CHAT, stream=True))
    assert [row["provider"] for row in ledger.rows("ledger")] == ["azure"] * 2
    assert tokens(ledger) == [(100, 20)] * 2


# -- without an SDK ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", [httpx2, httpx], ids=["httpx2", "httpx"])
def test_a_bare_client(ledger: Ledger, server: Replay, package: Any) -> None:
    with package.Client(base_url=server.url) as client:
        assert http.attach(client, ledger)
        assert client.post("/v1/messages", json=ASK).json()["usage"]["output_tokens"] == 300
        with client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as response:
            assert response.read().endswith(b"[DONE]\n\n")
    assert tokens(ledger) == [(1200, 300), (100, 20)]


@pytest.mark.parametrize("package", [httpx2, httpx], ids=["httpx2", "httpx"])
def test_a_bare_async_client(ledger: Ledger, server: Replay, package: Any) -> None:
    async def call() -> None:
        async with package.AsyncClient(base_url=server.url) as client:
            assert http.attach(client, ledger)
            assert inspect.iscoroutinefunction(client.send)
            await client.post("/v1/messages", json=ASK)
            async with client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as response:
                assert [line async for line in response.aiter_lines()][-2] == "data: [DONE]"

    asyncio.run(call())
    assert tokens(ledger) == [(1200, 300), (100, 20)]


def test_what_others_answer_is_nobodys_call(ledger: Ledger) -> None:
    """A client of no SDK talks to anybody: a survey has responses too."""
    with Replay(Answer.json({"id": 1})) as server, httpx2.Client(base_url=server.url) as client:
        http.attach(client, ledger)
        client.post("/surveys/1/responses", json={"answer": "yes"})
        client.post("/v1/messages", content=iter([b"text"]))
        client.get("/v1/messages")
        client.get("/surveys/1/responses/2")
        client.get("/v1/files/3/content")
        client.get("/batches/4")
    assert ledger.rows("ledger") == []


# -- how often --------------------------------------------------------------------------------------------------------


def test_attaching_again_changes_nothing(ledger: Ledger, server: Replay) -> None:
    with anthropic.Anthropic(base_url=server.url, **READY) as client:
        assert http.attach(client, ledger)
        send = client._client.send
        assert http.attach(client, ledger)
        assert http.attach(client.with_options(timeout=3), ledger)
        assert http.attach(client._client, ledger)
        assert client._client.send is send
        client.messages.create(**ASK)
    assert tokens(ledger) == [(1200, 300)]


def test_two_ledgers_each_get_the_call(ledger: Ledger, server: Replay, tmp_path: Path) -> None:
    with Ledger(tmp_path / "other.db") as other, anthropic.Anthropic(base_url=server.url, **READY) as client:
        http.attach(client, ledger, defaults=Attribution(agent_id="one"))
        http.attach(client, other, defaults=Attribution(agent_id="two"))
        http.attach(client, ledger)
        with client.messages.stream(**ASK) as stream:
            stream.get_final_message()
        assert tokens(ledger) == tokens(other) == [(1200, 300)]
        assert [ledger.rows("ledger")[0]["agent_id"], other.rows("ledger")[0]["agent_id"]] == ["one", "two"]


class Overriding(httpx2.Client):
    """As google-genai's client: it sends through another client."""

    def send(self, request: Any, **kwargs: Any) -> Any:
        if request.headers.get("x-through"):
            return super().send(request, **kwargs)
        with httpx2.Client() as inner:
            return inner.send(request, **kwargs)


@pytest.mark.parametrize("kind", [httpx2.Client, httpx.Client, Overriding])
def test_everywhere_and_back(ledger: Ledger, server: Replay, kind: Any) -> None:
    before = [(one, one.send) for one in (httpx.Client, httpx.AsyncClient, httpx2.Client, httpx2.AsyncClient)]
    undo = http.attach_everywhere(ledger)
    try:
        with kind(base_url=server.url) as client:
            client.post("/v1/messages", json=ASK)
            client.post("/v1/messages", json=ASK, headers={"x-through": "1"})
            http.attach(client, ledger, defaults=Attribution(agent_id="named"))
            client.post("/v1/messages", json=ASK)
            assert client.post("/v1/messages/count_tokens", json=ASK).json() == {"input_tokens": 5}
    finally:
        undo()
    assert [(one, one.send) for one, _ in before] == before
    with kind(base_url=server.url) as client:
        client.post("/v1/messages", json=ASK)
    assert [row["agent_id"] for row in ledger.rows("ledger")] == ["(unattributed)"] * 2 + ["named"]


def test_everywhere_sees_async_clients_and_sdks(ledger: Ledger, server: Replay) -> None:
    async def call() -> None:
        async with anthropic.AsyncAnthropic(base_url=server.url, **READY) as client:
            await client.messages.create(**ASK)
        async with httpx.AsyncClient(base_url=server.url) as bare:
            await bare.post("/v1/messages", json=ASK)

    undo = http.attach_everywhere(ledger)
    try:
        asyncio.run(call())
        with openai.OpenAI(base_url=server.url, **READY) as client:
            client.chat.completions.create(**CHAT)
    finally:
        undo()
    assert tokens(ledger) == [(1200, 300), (1200, 300), (100, 20)]


def test_undoing_in_any_order(ledger: Ledger, server: Replay, tmp_path: Path) -> None:
    with Ledger(tmp_path / "other.db") as other:
        before = httpx2.Client.send
        first, second, again = (http.attach_everywhere(one) for one in (ledger, other, ledger))
        try:
            with httpx2.Client(base_url=server.url) as client:
                client.post("/v1/messages", json=ASK)
                first()
                again()
                client.post("/v1/messages", json=ASK)
        finally:
            second()
            first()
        with httpx2.Client(base_url=server.url) as client:
            client.post("/v1/messages", json=ASK)
        httpx2.Client.send = before  # type: ignore[method-assign]
        assert tokens(ledger) == [(1200, 300)]
        assert tokens(other) == [(1200, 300)] * 2


def test_after_undoing_a_client_can_be_attached(ledger: Ledger, server: Replay) -> None:
    http.attach_everywhere(ledger)()
    with anthropic.Anthropic(base_url=server.url, **READY) as client:
        http.attach(client, ledger)
        client.messages.create(**ASK)
    assert tokens(ledger) == [(1200, 300)]


# -- never in the way -------------------------------------------------------------------------------------------------


def test_what_is_no_client(ledger: Ledger) -> None:
    class Odd:
        @property
        def _client(self) -> None:
            raise RuntimeError("not yet")

    for thing in (None, "x", object(), Odd(), httpx2.Response(200), httpx2.Client):
        assert http.attach(thing, ledger) is False


def test_defaults_stand_in_for_what_the_context_does_not_say(ledger: Ledger, server: Replay) -> None:
    with anthropic.Anthropic(base_url=server.url, **READY) as client:
        http.attach(client, ledger, provider="gateway", defaults=Attribution(agent_id="a", customer_id="acme"))
        with attribute(agent_id="b"):
            client.messages.create(**ASK)
    (row,) = ledger.rows("ledger")
    assert (row["agent_id"], row["customer_id"], row["provider"]) == ("b", "acme", "gateway")


@pytest.mark.parametrize("stream", [False, True])
def test_a_bug_of_ours_is_not_the_agents(
    ledger: Ledger, server: Replay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    with anthropic.Anthropic(base_url=server.url, **READY) as client, caplog.at_level(logging.ERROR):
        http.attach(client, ledger)
        for place in (
            "http.endpoint",
            "http_call.Exchange",
            "http_call.tee",
            "http_call.decoded",
            "exchange.inferences",
        ):
            with monkeypatch.context() as patch:
                patch.setattr(f"agent_ledger.capture.{place}", broken)
                found = client.messages.create(**ASK, stream=stream)
                assert (len(list(found)) if stream else found.usage.output_tokens) == (6 if stream else 300)


def test_what_the_server_says_and_raises_is_unchanged(ledger: Ledger) -> None:
    def outcome(attached: bool, package: Any) -> object:
        with Replay(Answer(b"moved", 302, {"location": "/v1/other"})) as server, package.Client() as client:
            if attached:
                http.attach(client, ledger)
            response = client.post(f"{server.url}/v1/messages", json=ASK)
            with pytest.raises(package.ConnectError) as error:
                client.post("http://127.0.0.1:9/v1/messages", json=ASK)
            return response.status_code, response.text, str(error.value)

    for package in (httpx2, httpx):
        assert outcome(True, package) == outcome(False, package)
    assert ledger.rows("ledger") == []
