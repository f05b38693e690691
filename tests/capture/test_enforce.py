"""Clients that obey directives, with the real SDKs: what goes out, what is refused, and what the ledger keeps of it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from directed import block, lift, throttle
from replay import Answer, Replay, Request, anthropic_message, anthropic_stream, openai_completion, openai_response
from support import empty_file, query

from agent_ledger import BudgetExceeded, Ledger, attribute
from agent_ledger.capture import exchange
from agent_ledger.capture.enforce import path_with_model

SONNET, HAIKU = "claude-sonnet-5", "claude-haiku-5"
GPT, NANO = "gpt-5", "gpt-5-nano"
SMALLER = {"claude-sonnet-*": HAIKU, GPT: NANO, "gemini-*-pro": "gemini-2.5-flash", "anthropic.*": f"eu.{HAIKU}:0"}
MESSAGES = [{"role": "user", "content": "Pay in €?"}]
ASK: Any = {"model": SONNET, "max_tokens": 9, "messages": MESSAGES}
READY: Any = {"api_key": "x", "max_retries": 2}
WHO = {"agent_id": "scraper"}
Closed = Callable[[Any], Any]


def answer(request: Request) -> Answer:
    """The provider, which serves the model that it is asked for."""
    model, path = request.json.get("model"), request.path.partition("?")[0]
    id_ = f"req_{model}"
    if path.endswith("/messages"):
        if request.json.get("stream"):
            first, *rest = anthropic_stream()
            return Answer.sse([{**first, "message": {**first["message"], "model": model}}, *rest], request_id=id_)
        return Answer.json({**anthropic_message(), "model": model}, request_id=id_)
    if path.endswith("/responses"):
        return Answer.json(openai_response(model=model), x_request_id=id_)
    return Answer.json({**openai_completion(), "model": model}, x_request_id=id_)


@pytest.fixture
def server() -> Iterator[Replay]:
    with Replay(answer) as opened:
        yield opened


@pytest.fixture
def closed() -> Iterator[Closed]:
    """`closed(client)` is the client, which is closed when the test is over."""
    with ExitStack() as stack:
        yield stack.enter_context


def asked(server: Replay) -> list[str]:
    return [request.json["model"] for request in server.requests]


def kept(ledger: Ledger) -> list[tuple[Any, ...]]:
    return query(ledger, "select agent_id, requested_model, request_id, directive_id from enforced_call order by id")


def models(ledger: Ledger) -> list[str]:
    return [row["model"] for row in ledger.rows("ledger")]


def read(stream: Any) -> None:
    for _ in stream:
        pass


def anthropic_streamed(client: Any) -> None:
    with client.messages.stream(**ASK) as stream:
        stream.get_final_message()


def no_retry(client: Any) -> Any:
    return client.with_options(max_retries=0)


ANTHROPIC: dict[str, Callable[[Any], object]] = {
    "create": lambda client: client.messages.create(**ASK),
    "stream": anthropic_streamed,
    "stream=True": lambda client: read(client.messages.create(**ASK, stream=True)),
    "with_options": lambda client: no_retry(client).messages.create(**ASK),
    "raw": lambda client: client.messages.with_raw_response.create(**ASK).parse(),
    "beta": lambda client: client.beta.messages.create(**ASK),
}


@pytest.mark.parametrize("way", ANTHROPIC)
def test_anthropic_goes_to_the_smaller_model_and_the_ledger_says_what_was_asked_for(
    ledger: Ledger, server: Replay, way: str, closed: Closed
) -> None:
    directive = throttle(ledger, SMALLER)
    client = ledger.instrument(closed(anthropic.Anthropic(base_url=server.url, **READY)), enforce=True)
    with attribute(**WHO):
        ANTHROPIC[way](client)
    [request] = server.requests
    body = request.json
    assert {"model": HAIKU, "max_tokens": 9, "messages": MESSAGES}.items() <= body.items()
    assert int(request.headers["content-length"]) == len(request.body)
    assert models(ledger) == [HAIKU]
    assert kept(ledger) == [("scraper", SONNET, f"req_{HAIKU}", directive)]


@pytest.mark.parametrize("way", ANTHROPIC)
def test_anthropic_is_refused_at_once_and_nothing_is_sent(
    ledger: Ledger, server: Replay, way: str, closed: Closed
) -> None:
    directive = block(ledger)
    client = ledger.instrument(closed(anthropic.Anthropic(base_url=server.url, **READY)), enforce=True)
    with attribute(**WHO), pytest.raises(BudgetExceeded, match=r"blocked until .* by budget scraping"):
        ANTHROPIC[way](client)
    assert (server.requests, models(ledger)) == ([], [])
    assert kept(ledger) == [("scraper", SONNET, None, directive)]  # once: nobody retries it


OPENAI: dict[str, Callable[[Any], object]] = {
    "chat": lambda client: client.chat.completions.create(model=GPT, messages=MESSAGES),
    "responses": lambda client: client.responses.create(model=GPT, input="Pay?"),
    "with_options": lambda client: no_retry(client).responses.create(model=GPT, input="Pay?"),
    "raw": lambda client: client.chat.completions.with_raw_response.create(model=GPT, messages=MESSAGES),
}


@pytest.mark.parametrize("way", OPENAI)
def test_openai_goes_to_the_smaller_model_or_nowhere(ledger: Ledger, server: Replay, way: str, closed: Closed) -> None:
    directive = throttle(ledger, SMALLER)
    client = ledger.instrument(closed(openai.OpenAI(base_url=f"{server.url}/v1", **READY)), enforce=True)
    with attribute(**WHO):
        OPENAI[way](client)
        assert (asked(server), models(ledger)) == ([NANO], [NANO])
        assert kept(ledger) == [("scraper", GPT, f"req_{NANO}", directive)]
        block(ledger)
        with pytest.raises(BudgetExceeded):
            OPENAI[way](client)
    assert len(server.requests) == 1


def test_async_clients_obey_too(ledger: Ledger, server: Replay) -> None:
    throttle(ledger, SMALLER)

    async def calls() -> None:
        claude = ledger.instrument(anthropic.AsyncAnthropic(base_url=server.url, **READY), enforce=True)
        chat = ledger.instrument(openai.AsyncOpenAI(base_url=f"{server.url}/v1", **READY), enforce=True)
        with attribute(**WHO):
            await claude.messages.create(**ASK)
            async with claude.messages.stream(**ASK) as stream:
                await stream.get_final_message()
            await chat.responses.create(model=GPT, input="Pay?")
            block(ledger)
            with pytest.raises(BudgetExceeded):
                await claude.messages.create(**ASK)
            with pytest.raises(BudgetExceeded):
                await chat.chat.completions.create(model=GPT, messages=MESSAGES)
        await claude.close()
        await chat.close()

    asyncio.run(calls())
    assert asked(server) == [HAIKU, HAIKU, NANO]
    assert [row[1] for row in kept(ledger)] == [SONNET, SONNET, GPT, SONNET, GPT]


@pytest.mark.parametrize("package", [httpx, httpx2])
def test_a_bare_client_obeys_also_for_a_request_that_it_did_not_build(
    ledger: Ledger, server: Replay, package: Any
) -> None:
    throttle(ledger, SMALLER)
    with package.Client() as plain, attribute(**WHO):
        client = ledger.instrument(plain, enforce=True)
        url = f"{server.url}/v1/messages"
        client.post(url, json=ASK)
        request = package.Request("POST", url, json=ASK)
        client.send(request)
        assert json.loads(request.content)["model"] == SONNET  # it is the caller's, and stays as it is
        directive = block(ledger)
        for send in (lambda: client.post(url, json=ASK), lambda: client.send(request)):
            with pytest.raises(BudgetExceeded):
                send()
        lift(ledger, directive)
        client.send(request)
        assert client.post(f"{server.url}/other", json={"model": SONNET}).status_code == 200
    assert asked(server) == [HAIKU] * 3 + [SONNET]


def test_the_model_may_stand_in_the_url(ledger: Ledger) -> None:
    throttle(ledger, SMALLER)
    with Replay(Answer.json(anthropic_message())) as server, httpx.Client() as plain, attribute(**WHO):
        client = ledger.instrument(plain, enforce=True)
        client.post(f"{server.url}/model/anthropic.claude-opus-4%3A0/invoke?a=1%2F2", json={"max_tokens": 9})
        client.post(f"{server.url}/v1beta/models/gemini-2.5-pro:generateContent", json={"contents": []})
    assert [request.path for request in server.requests] == [
        f"/model/eu.{HAIKU}%3A0/invoke?a=1%2F2",
        "/v1beta/models/gemini-2.5-flash:generateContent",
    ]
    assert [request.json for request in server.requests] == [{"max_tokens": 9}, {"contents": []}]


def test_claude_on_bedrock_is_signed_for_the_model_that_it_goes_to(ledger: Ledger, closed: Closed) -> None:
    throttle(ledger, SMALLER)
    with Replay(Answer.json(anthropic_message())) as server, attribute(**WHO):
        client = ledger.instrument(
            closed(
                anthropic.AnthropicBedrock(
                    base_url=server.url, aws_access_key="a", aws_secret_key="s", aws_region="eu-west-1", max_retries=0
                )
            ),
            enforce=True,
        )
        client.messages.create(**{**ASK, "model": "anthropic.claude-sonnet-4-5-20250929-v1:0"})
    [request] = server.requests
    assert request.path == f"/model/eu.{HAIKU}%3A0/invoke"
    assert "Signature=" in request.headers["authorization"]


def test_a_batch_is_money_too(ledger: Ledger, server: Replay, closed: Closed) -> None:
    block(ledger)
    client = ledger.instrument(closed(anthropic.Anthropic(base_url=server.url, **READY)), enforce=True)
    with attribute(**WHO), pytest.raises(BudgetExceeded):
        client.messages.batches.create(requests=[{"custom_id": "1", "params": ASK}])
    assert server.requests == []


def test_what_costs_nothing_is_never_refused(ledger: Ledger, closed: Closed) -> None:
    block(ledger)
    with Replay(Answer.json({"input_tokens": 5})) as server, attribute(**WHO):
        client = ledger.instrument(closed(anthropic.Anthropic(base_url=server.url, **READY)), enforce=True)
        client.messages.count_tokens(model=SONNET, messages=MESSAGES)
    assert len(server.requests) == 1


def test_each_attempt_asks_again(ledger: Ledger, closed: Closed) -> None:
    def busy(_: Request) -> Answer:
        block(ledger)
        return replace(Answer.json({"error": {}}, retry_after="0"), status=503)

    with Replay(busy) as server, attribute(**WHO):
        client = ledger.instrument(closed(openai.OpenAI(base_url=server.url, **READY)), enforce=True)
        with pytest.raises(BudgetExceeded):
            client.responses.create(model=GPT, input="Pay?")
    assert len(server.requests) == 1


def test_only_who_asks_for_it_is_held_to_it(ledger: Ledger, server: Replay, closed: Closed) -> None:
    block(ledger)
    client = ledger.instrument(closed(anthropic.Anthropic(base_url=server.url, **READY)))
    with attribute(**WHO):
        client.messages.create(**ASK)
        ledger.instrument(client, enforce=True)
        with pytest.raises(BudgetExceeded):
            client.messages.create(**ASK)
    with attribute(agent_id="other"):
        client.messages.create(**ASK)
    assert (asked(server), len(models(ledger))) == ([SONNET] * 2, 2)


def test_the_last_who_asks_says_how(ledger: Ledger, server: Replay, closed: Closed) -> None:
    block(ledger, key="batch")
    client = ledger.instrument(
        closed(anthropic.Anthropic(base_url=server.url, **READY)), agent_id="scraper", enforce=True
    )
    client.messages.create(**ASK)
    ledger.instrument(client, agent_id="batch", enforce=True)
    with pytest.raises(BudgetExceeded):
        client.messages.create(**ASK)


def test_who_does_not_say_who_he_is_is_nobody(ledger: Ledger, server: Replay, closed: Closed) -> None:
    block(ledger, scope="agent", key="(unattributed)")
    client = ledger.instrument(closed(anthropic.Anthropic(base_url=server.url, **READY)), enforce=True)
    with pytest.raises(BudgetExceeded):
        client.messages.create(**ASK)


@pytest.mark.parametrize("fail_closed", [False, True])
def test_a_ledger_that_is_gone_refuses_only_if_asked_to(
    tmp_path: Path, server: Replay, caplog: pytest.LogCaptureFixture, fail_closed: bool, closed: Closed
) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(empty_file())
    with Ledger(path) as ledger, caplog.at_level(logging.WARNING):
        client = ledger.instrument(
            closed(anthropic.Anthropic(base_url=server.url, **READY)), enforce=True, fail_closed=fail_closed
        )
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        if fail_closed:
            with pytest.raises(BudgetExceeded, match="can't be read"):
                client.messages.create(**ASK)
        else:
            client.messages.create(**ASK)
    assert len(server.requests) == (0 if fail_closed else 1)
    assert caplog.text.count("Directives can't be read") == 1
    for spooled in tmp_path.glob("*.spool-*"):
        spooled.unlink()


def test_a_body_that_can_t_be_read_goes_out_as_it_is_and_the_log_says_so(
    ledger: Ledger,
    server: Replay,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    closed: Closed,
) -> None:
    monkeypatch.setattr(exchange, "_said", set())
    throttle(ledger, SMALLER)
    body = json.dumps(ASK).encode()
    client = ledger.instrument(closed(anthropic.Anthropic(base_url=server.url, **READY)), enforce=True)
    with attribute(**WHO):
        client._client.post("/v1/messages", content=iter([body]))
        assert "can't be sent to a smaller model" in caplog.text
        block(ledger)
        with pytest.raises(BudgetExceeded):
            client._client.post("/v1/messages", content=iter([body]))
    assert asked(server) == [SONNET]
    assert kept(ledger)[0][:2] == ("scraper", None)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1beta/models/old:generateContent", "/v1beta/models/new%2F1:generateContent"),
        ("/model/old/invoke", "/model/new%2F1/invoke"),
        ("/old/models/old:embedContent", "/old/models/new%2F1:embedContent"),
        ("/models/older:generateContent", "/models/older:generateContent"),
    ],
)
def test_the_path_of_another_model(path: str, expected: str) -> None:
    assert path_with_model(path, "old", "new/1") == expected
