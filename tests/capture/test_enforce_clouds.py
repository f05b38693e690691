"""google-genai and boto3 obey directives: neither sends through an HTTP client that can be reached from outside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import boto3
import pytest
from botocore.config import Config
from directed import block, throttle
from google import genai
from google.genai import types
from replay import Answer, Replay, Request, anthropic_message
from support import query

from agent_ledger import BudgetExceeded, Ledger, attribute

PRO, FLASH = "gemini-2.5-pro", "gemini-2.5-flash"
SONNET, HAIKU = "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.anthropic.claude-haiku-4-5-20251001-v1:0"
SMALLER = {"gemini-*-pro": FLASH, "*.claude-sonnet-*": HAIKU}
WHO = {"agent_id": "scraper"}
USAGE = {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120}


def kept(ledger: Ledger) -> list[tuple[Any, ...]]:
    return query(ledger, "select agent_id, requested_model, request_id, directive_id from enforced_call order by id")


# -- google-genai -----------------------------------------------------------------------------------------------------


def gemini(request: Request) -> Answer:
    path = request.path.partition("?")[0]
    if path.endswith(":countTokens"):
        return Answer.json({"totalTokens": 5})
    model = path.rpartition("/")[2].partition(":")[0]
    parts = [{"text": "Paid."}]
    body = {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
        "usageMetadata": USAGE, "modelVersion": model, "responseId": f"resp-{model}",
    }  # fmt: skip
    return Answer.sse([body]) if ":stream" in path else Answer.json(body)


@pytest.fixture
def google(ledger: Ledger) -> Iterator[tuple[Any, Replay]]:
    with Replay(gemini) as server, ExitStack() as stack:
        options = types.HttpOptions(base_url=server.url, retry_options=types.HttpRetryOptions(attempts=3))
        client = genai.Client(api_key="x", vertexai=False, http_options=options)
        stack.callback(client.close)
        yield ledger.instrument(client, enforce=True), server


async def streamed(client: Any) -> None:
    async for _ in await client.aio.models.generate_content_stream(model=PRO, contents="Pay?"):
        pass
    await client.aio.aclose()


async def not_streamed(client: Any) -> None:
    await client.aio.models.generate_content(model=PRO, contents="Pay?")
    await client.aio.aclose()


GOOGLE: dict[str, Callable[[Any], object]] = {
    "one piece": lambda client: client.models.generate_content(model=PRO, contents="Pay?"),
    "stream": lambda client: list(client.models.generate_content_stream(model=PRO, contents="Pay?")),
    "chat": lambda client: client.chats.create(model=PRO).send_message("Pay?"),
    "async": lambda client: asyncio.run(not_streamed(client)),
    "async stream": lambda client: asyncio.run(streamed(client)),
}


@pytest.mark.parametrize("way", GOOGLE)
def test_gemini_goes_to_the_smaller_model(ledger: Ledger, google: tuple[Any, Replay], way: str) -> None:
    client, server = google
    directive = throttle(ledger, SMALLER)
    with attribute(**WHO):
        GOOGLE[way](client)
    assert [request.path.rpartition("/")[2].partition(":")[0] for request in server.requests] == [FLASH]
    assert [row["model"] for row in ledger.rows("ledger")] == [FLASH]
    assert kept(ledger) == [("scraper", PRO, f"resp-{FLASH}", directive)]


@pytest.mark.parametrize("way", GOOGLE)
def test_gemini_is_refused_at_once(ledger: Ledger, google: tuple[Any, Replay], way: str) -> None:
    client, server = google
    directive = block(ledger)
    with attribute(**WHO), pytest.raises(BudgetExceeded, match="by budget scraping"):
        GOOGLE[way](client)
    assert (server.requests, ledger.rows("ledger")) == ([], [])
    assert kept(ledger) == [("scraper", PRO, None, directive)]


def test_counting_tokens_of_gemini_costs_nothing_and_a_batch_does(ledger: Ledger, google: tuple[Any, Replay]) -> None:
    client, server = google
    block(ledger)
    with attribute(**WHO):
        client.models.count_tokens(model=PRO, contents="Pay?")
        with pytest.raises(BudgetExceeded):
            client.batches.create(model=PRO, src=[{"contents": [{"parts": [{"text": "Pay?"}]}]}])
    assert len(server.requests) == 1


# -- Bedrock ----------------------------------------------------------------------------------------------------------

CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Paid."}]}}, "stopReason": "end_turn",
    "usage": {"inputTokens": 100, "outputTokens": 20, "totalTokens": 120}, "metrics": {"latencyMs": 9},
}  # fmt: skip
BODY = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": []})
ASK: Any = [{"role": "user", "content": [{"text": "Pay?"}]}]


def bedrock_answer(request: Request) -> Answer:
    body = CONVERSED if request.path.endswith("/converse") else anthropic_message()
    return Answer.json(body, x_amzn_requestid="req-1")


@pytest.fixture
def bedrock(ledger: Ledger) -> Iterator[tuple[Any, Replay]]:
    with Replay(bedrock_answer) as server, ExitStack() as stack:
        client = boto3.client(
            "bedrock-runtime", region_name="us-east-1", endpoint_url=server.url, aws_access_key_id="x",
            aws_secret_access_key="x", config=Config(retries={"mode": "standard", "max_attempts": 3}),
        )  # fmt: skip
        stack.callback(client.close)
        yield ledger.instrument(client, enforce=True), server


BEDROCK: dict[str, Callable[[Any], object]] = {
    "converse": lambda client: client.converse(modelId=SONNET, messages=ASK),
    "invoke": lambda client: client.invoke_model(modelId=SONNET, body=BODY)["body"].read(),
}


@pytest.mark.parametrize("way", BEDROCK)
def test_bedrock_goes_to_the_smaller_model_or_nowhere(ledger: Ledger, bedrock: tuple[Any, Replay], way: str) -> None:
    client, server = bedrock
    directive = throttle(ledger, SMALLER)
    with attribute(**WHO):
        BEDROCK[way](client)
        assert [request.path for request in server.requests] == [f"/model/{HAIKU.replace(':', '%3A')}/{way}"]
        assert kept(ledger) == [("scraper", SONNET, "req-1", directive)]
        block(ledger)
        with pytest.raises(BudgetExceeded, match="by budget scraping"):
            BEDROCK[way](client)
    assert len(server.requests) == 1
    assert len(ledger.rows("ledger")) == 1


@pytest.mark.parametrize("way", ["converse_stream", "invoke_model_with_response_stream"])
def test_streams_of_bedrock_are_refused_before_they_are_opened(
    ledger: Ledger, bedrock: tuple[Any, Replay], way: str
) -> None:
    client, server = bedrock
    block(ledger)
    given = {"messages": ASK} if way == "converse_stream" else {"body": BODY}
    with attribute(**WHO), pytest.raises(BudgetExceeded):
        getattr(client, way)(modelId=SONNET, **given)
    assert server.requests == []


def test_the_last_who_asks_says_how_there_too(
    ledger: Ledger, bedrock: tuple[Any, Replay], google: tuple[Any, Replay]
) -> None:
    block(ledger)
    for client, ways in ((bedrock[0], BEDROCK), (google[0], GOOGLE)):
        way = next(iter(ways.values()))
        way(client)
        ledger.instrument(client, agent_id="scraper", enforce=True)
        with pytest.raises(BudgetExceeded):
            way(client)
