from __future__ import annotations

import asyncio
import gc
import importlib
import json
import logging
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials
from replay import SAMPLES, Answer, Replay, Request

from agent_ledger import Ledger
from agent_ledger.attribution import Attribution, attribute, last_request_id
from agent_ledger.capture import google
from agent_ledger.usage import inferences, inferences_from_events, sse_events

FOLDER = SAMPLES / "llm_responses"
MODEL = "gemini-2.5-flash"
COUNTED = (
    "model", "provider", "response_id", "prompt_tokens", "completion_tokens", "cache_read_tokens", "reasoning_tokens",
    "web_search_requests", "service_tier", "tier_tokens", "part", "evidence", "anomaly",
)  # fmt: skip


def gemini(response_id: str = "resp-1", **usage: Any) -> dict[str, Any]:
    """100 tokens in, of which 40 were cached; 20 out and 7 of thoughts."""
    return {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Paid."}]}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 20, "thoughtsTokenCount": 7,
            "totalTokenCount": 127, **usage,
        },
        "modelVersion": MODEL, "responseId": response_id,
    }  # fmt: skip


def chunks(response_id: str = "resp-1") -> list[dict[str, Any]]:
    """The same answer streamed, whose counts grow and shrink on the way."""
    whole = gemini(response_id)
    first = {**whole, "candidates": [{**whole["candidates"][0]}], "usageMetadata": {"promptTokenCount": 100}}
    del first["candidates"][0]["finishReason"]
    second = {**first, "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 50, "totalTokenCount": 150}}
    return [first, second, whole]


def name_of(request: Request) -> str:
    """A response id that tells which prompt it answers."""
    return str(request.json["contents"][0]["parts"][0]["text"]) if "contents" in request.json else "resp-1"


def answer(request: Request) -> Answer:
    path = request.path.partition("?")[0]
    if path.endswith(":countTokens"):
        return Answer.json({"totalTokens": 5})
    if path.endswith(":streamGenerateContent"):
        return Answer.sse(chunks(name_of(request)))
    if path.endswith((":batchEmbedContents", ":embedContent")):
        return Answer.json({"embeddings": [{"values": [0.1]}], "usageMetadata": {"promptTokenCount": 6}})
    if path.endswith("/cachedContents"):
        return Answer.json({"name": "cachedContents/c1", "usageMetadata": {"totalTokenCount": 9000}})
    assert path.endswith(":generateContent"), path
    return Answer.json(gemini(name_of(request)))


@pytest.fixture
def server() -> Iterator[Replay]:
    with Replay(answer) as server:
        yield server


def made(server: Replay, **options: Any) -> genai.Client:
    http_options = types.HttpOptions(base_url=server.url, **options)
    return genai.Client(api_key="x", vertexai=False, http_options=http_options)


def observed(server: Replay, ledger: Ledger, **options: Any) -> genai.Client:
    client = made(server, **options)
    assert google.attach(client, ledger)
    return client


def ask(client: genai.Client, contents: str = "resp-1", **config: Any) -> Any:
    return client.models.generate_content(model=MODEL, contents=contents, config=types.GenerateContentConfig(**config))


def seen(ledger: Ledger) -> list[tuple[Any, ...]]:
    names = ("agent_id", "request_id", "prompt_tokens", "completion_tokens", "evidence")
    return [tuple(row[name] for name in names) for row in ledger.rows("ledger")]


WHOLE = ("(unattributed)", "resp-1", 100, 27, "response")
STREAMED = (*WHOLE[:4], "stream")


# -- what becomes a row -----------------------------------------------------------------------------------------------


def test_a_call_in_one_piece(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)
    with attribute(agent_id="payer", customer_id="acme"):
        assert ask(client).text == "Paid."
        assert last_request_id() == "resp-1"
    [row] = ledger.rows("ledger")
    assert (row["agent_id"], row["customer_id"], row["provider"], row["model"]) == ("payer", "acme", "google", MODEL)
    assert (row["request_id"], row["response_id"]) == ("resp-1", "resp-1")
    assert (row["prompt_tokens"], row["completion_tokens"]) == (100, 27)
    assert (row["cache_read_tokens"], row["reasoning_tokens"], row["evidence"]) == (40, 7, "response")


def test_a_stream_counts_as_its_last_chunk_says(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)
    texts = []
    for chunk in client.models.generate_content_stream(model=MODEL, contents="resp-1"):
        texts.append(chunk.text)
        assert last_request_id() == "resp-1"  # tools may be called before the stream ends
    assert texts == ["Paid."] * 3
    assert seen(ledger) == [STREAMED]


def test_async_calls(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)

    async def run() -> None:
        with attribute(agent_id="payer"):
            await client.aio.models.generate_content(model=MODEL, contents="resp-1")
            async for _ in await client.aio.models.generate_content_stream(model=MODEL, contents="resp-2"):
                pass
            assert last_request_id() == "resp-2"
        await client.aio.aclose()

    asyncio.run(run())
    assert seen(ledger) == [("payer", *WHOLE[1:]), ("payer", "resp-2", *STREAMED[2:])]


def test_a_chat_makes_a_row_per_turn(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)
    chat = client.chats.create(model=MODEL)
    chat.send_message("turn-1")
    list(chat.send_message_stream("turn-1"))
    assert [row["evidence"] for row in ledger.rows("ledger")] == ["response", "stream"]


def test_automatic_function_calling_makes_a_row_per_round(ledger: Ledger) -> None:
    asked = gemini("round-1")
    asked["candidates"][0]["content"]["parts"] = [{"functionCall": {"name": "pay", "args": {}}}]
    joined: list[str | None] = []

    def pay() -> str:
        """Pay."""
        joined.append(last_request_id())
        return "done"

    with Replay(Answer.json(asked), Answer.json(gemini("round-2"))) as server:
        assert ask(observed(server, ledger), tools=[pay]).text == "Paid."
    assert [row[1] for row in seen(ledger)] == ["round-1", "round-2"]
    assert joined == ["round-1"]


def test_embeddings_have_no_output(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)
    client.models.embed_content(model="gemini-embedding-001", contents="?")
    [row] = ledger.rows("ledger")
    assert (row["model"], row["prompt_tokens"], row["completion_tokens"]) == ("gemini-embedding-001", 6, 0)


def test_what_costs_no_tokens_makes_no_row(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)
    client.models.count_tokens(model=MODEL, contents="?")
    client.caches.create(model=MODEL, config=types.CreateCachedContentConfig(contents="?"))
    assert len(server.requests) == 2
    assert ledger.rows("ledger") == []


def test_vertex(server: Replay, ledger: Ledger) -> None:
    client = genai.Client(
        vertexai=True, project="p", location="europe-west1", credentials=Credentials(token="x"),
        http_options=types.HttpOptions(base_url=server.url),
    )  # fmt: skip
    assert google.attach(client, ledger)
    ask(client)
    assert list(client.models.generate_content_stream(model=MODEL, contents="resp-2"))
    assert "/publishers/google/models/" in server.requests[0].path
    assert seen(ledger) == [WHOLE, ("(unattributed)", "resp-2", *STREAMED[2:])]


def test_the_model_is_of_the_request_where_the_answer_names_none(ledger: Ledger) -> None:
    body = gemini()
    del body["modelVersion"], body["responseId"]
    with Replay(Answer.json(body)) as server:
        client = observed(server, ledger)
        ask(client)
        ask(client)
    assert [row["model"] for row in ledger.rows("ledger")] == [MODEL, MODEL]
    assert len({row["request_id"] for row in ledger.rows("ledger")}) == 2


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"what": 1}'])
def test_an_answer_that_nobody_understands_is_a_call_of_unknown_size(ledger: Ledger, body: bytes) -> None:
    with Replay(Answer(body, headers={"content-type": "application/json"})) as server:
        client = observed(server, ledger)
        with suppress(ValueError, TypeError, AttributeError):  # what the SDK makes of it
            ask(client)
    [row] = ledger.rows("ledger")
    assert (row["model"], row["prompt_tokens"], row["evidence"]) == (MODEL, None, "partial")


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_errors_make_no_row(ledger: Ledger) -> None:
    refused = Answer.json({"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}})
    with Replay(Answer(refused.body, 400, refused.headers)) as server:
        client = observed(server, ledger)
        with pytest.raises(errors.ClientError):
            ask(client)
        with pytest.raises(errors.ClientError):
            list(client.models.generate_content_stream(model=MODEL, contents="?"))
    assert seen(ledger) == []


def test_an_error_inside_a_stream_makes_no_row(ledger: Ledger) -> None:
    event = {"error": {"code": 503, "message": "no", "status": "UNAVAILABLE"}}
    with Replay(Answer.sse([event])) as server:
        client = observed(server, ledger)
        with pytest.raises(errors.ServerError):
            list(client.models.generate_content_stream(model=MODEL, contents="?"))
    assert seen(ledger) == []


@pytest.mark.parametrize("per_request", [False, True])
def test_retries_are_one_call(ledger: Ledger, *, per_request: bool) -> None:
    busy = Answer(b"{}", 503, {"content-type": "application/json"})
    retries = types.HttpRetryOptions(attempts=3, initial_delay=0.001, max_delay=0.001)
    with Replay(busy, busy, Answer.json(gemini())) as server:
        if per_request:
            ask(observed(server, ledger), http_options=types.HttpOptions(retry_options=retries))
        else:
            ask(observed(server, ledger, retry_options=retries))
        assert len(server.requests) == 3
    assert seen(ledger) == [WHOLE]


def test_a_server_that_is_not_there_makes_no_row(ledger: Ledger) -> None:
    with Replay(answer) as server:
        client = observed(server, ledger, retry_options=types.HttpRetryOptions(attempts=1))
    with attribute(agent_id="a"), pytest.raises(Exception, match=r"[Cc]onnect"):
        ask(client)
    assert seen(ledger) == []


def test_a_stream_that_is_closed_early_is_partial(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)
    stream = client.models.generate_content_stream(model=MODEL, contents="resp-1")
    next(iter(stream))
    assert seen(ledger) == []
    stream.close()
    assert seen(ledger) == [("(unattributed)", "resp-1", 100, 0, "partial")]


def test_an_async_stream_that_is_closed_early_or_never_begun(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)

    async def run() -> None:
        stream: Any = await client.aio.models.generate_content_stream(model=MODEL, contents="resp-1")
        assert (await anext(stream)).text == "Paid."
        await stream.aclose()
        await client.aio.models.generate_content_stream(model=MODEL, contents="resp-2")
        await client.aio.aclose()

    asyncio.run(run())
    gc.collect()
    assert seen(ledger) == [("(unattributed)", "resp-1", 100, 0, "partial")]
    assert len(server.requests) == 1  # the SDK asks when it is read


def test_an_answer_that_nobody_reads_is_partial(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)
    request = client._api_client._build_request("post", f"models/{MODEL}:streamGenerateContent?alt=sse", {"a": "b"})
    with attribute(agent_id="a"):
        response = client._api_client._request(request, stream=True)
        assert seen(ledger) == []
        response.response_stream.close()
        del response
    [row] = ledger.rows("ledger")
    assert (row["model"], row["prompt_tokens"], row["evidence"]) == (MODEL, None, "partial")


def test_a_stream_that_breaks_off_is_partial_and_raises_as_before(ledger: Ledger) -> None:
    whole = Answer.sse(chunks()[:1])
    with Replay(Answer(whole.body, headers=whole.headers, cut=True)) as server:
        client = observed(server, ledger)
        with pytest.raises(Exception, match="closed"):
            list(client.models.generate_content_stream(model=MODEL, contents="?"))
    assert seen(ledger) == [("(unattributed)", "resp-1", 100, 0, "partial")]


def test_a_stream_is_not_read_ahead(ledger: Ledger) -> None:
    go = threading.Event()

    class Waiting(list[bytes]):
        def __iter__(self) -> Iterator[bytes]:
            first, *rest = list.__iter__(self)
            yield first
            assert go.wait(5)
            yield from rest

    whole = Answer.sse(chunks())
    with Replay(Answer(Waiting(whole.body), headers=whole.headers)) as server:
        client = observed(server, ledger)
        stream = client.models.generate_content_stream(model=MODEL, contents="?")
        assert next(iter(stream)).text == "Paid."
        go.set()
        assert len(list(stream)) == 2
    assert seen(ledger) == [STREAMED]


# -- who observes -----------------------------------------------------------------------------------------------------


def test_attaching_twice_is_harmless_and_two_ledgers_both_record(
    server: Replay, ledger: Ledger, tmp_path: Path
) -> None:
    client = made(server)
    with Ledger(tmp_path / "other.db") as other:
        for target in (client, client, client.aio):
            assert google.attach(target, ledger)
            assert google.attach(target, other)
        ask(client)
        list(client.models.generate_content_stream(model=MODEL, contents="resp-2"))
        assert seen(ledger) == seen(other) == [WHOLE, ("(unattributed)", "resp-2", *STREAMED[2:])]


def test_provider_and_defaults(server: Replay, ledger: Ledger) -> None:
    client = made(server)
    google.attach(client, ledger, provider="gateway", defaults=Attribution(agent_id="default", customer_id="acme"))
    with attribute(agent_id="payer"):
        ask(client)
    ask(client, "resp-2")
    assert [(row["agent_id"], row["customer_id"], row["provider"]) for row in ledger.rows("ledger")] == [
        ("payer", "acme", "gateway"),
        ("default", "acme", "gateway"),
    ]


@pytest.mark.parametrize("thing", [None, object(), Credentials(token="x"), types.HttpOptions()])
def test_other_things_are_not_attached(ledger: Ledger, thing: object) -> None:
    assert not google.attach(thing, ledger)


def test_an_inside_that_is_unknown_is_left_alone(
    server: Replay, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    class Changed:
        pass

    client = made(server)
    kept, client._api_client = client._api_client, Changed()
    with caplog.at_level(logging.WARNING, "agent_ledger"):
        assert not google.attach(client, ledger)
    assert "can't be observed" in caplog.text
    client._api_client = kept


def test_a_client_is_finalized_as_soon_as_before(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)
    ask(client)
    gone = weakref.ref(client._api_client)
    gc.collect()
    gc.disable()
    try:
        del client
        bare = made(server)
        ask(bare)
        bare_gone = weakref.ref(bare._api_client)
        del bare
        assert (gone() is None) == (bare_gone() is None)
    finally:
        gc.enable()
        gc.collect()


def test_threads_and_tasks_do_not_meet(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)

    def work(number: int) -> None:
        with attribute(agent_id=f"agent-{number}"):
            for turn in range(5):
                ask(client, f"agent-{number}/{turn}")
                assert last_request_id() == f"agent-{number}/{turn}"
                list(client.models.generate_content_stream(model=MODEL, contents=f"agent-{number}/s{turn}"))

    async def task(number: int) -> None:
        with attribute(agent_id=f"task-{number}"):
            name = f"task-{number}/s"
            async for _ in await client.aio.models.generate_content_stream(model=MODEL, contents=name):
                await asyncio.sleep(0)
            assert last_request_id() == name

    async def tasks() -> None:
        await asyncio.gather(*(task(number) for number in range(20)))
        await client.aio.aclose()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(tasks())
    rows = seen(ledger)
    assert len(rows) == 8 * 5 * 2 + 20
    assert all(row[1].split("/")[0] == row[0] for row in rows)


# -- everywhere -------------------------------------------------------------------------------------------------------


def test_everywhere_until_it_is_undone(server: Replay, ledger: Ledger) -> None:
    before = made(server)
    request = genai._api_client.BaseApiClient._request
    undo = google.attach_everywhere(ledger)
    ask(before)
    after = made(server)
    list(after.models.generate_content_stream(model=MODEL, contents="resp-2"))

    async def run() -> None:
        async with after.aio as client:
            await client.models.generate_content(model=MODEL, contents="resp-3")

    asyncio.run(run())
    assert [row[1] for row in seen(ledger)] == ["resp-1", "resp-2", "resp-3"]
    undo()
    undo()
    ask(before, "resp-4")
    assert len(seen(ledger)) == 3
    assert genai._api_client.BaseApiClient._request is request


@pytest.mark.parametrize("own_first", [True, False])
def test_a_client_of_its_own_everywhere_is_recorded_once(server: Replay, ledger: Ledger, *, own_first: bool) -> None:
    client = made(server)
    undos = []
    steps: list[Callable[[], object]] = [
        lambda: google.attach(client, ledger, defaults=Attribution(agent_id="own")),
        lambda: undos.append(google.attach_everywhere(ledger)),
    ]
    for step in steps if own_first else reversed(steps):
        step()
    ask(client)
    undos[0]()
    ask(client, "resp-2")
    assert [row[:2] for row in seen(ledger)] == [("own", "resp-1"), ("own", "resp-2")]


def test_with_the_observer_of_its_http_client_it_is_one_call(server: Replay, ledger: Ledger) -> None:
    client = made(server)
    undo = ledger.instrument_all()
    try:
        ask(client)
        list(client.models.generate_content_stream(model=MODEL, contents="resp-2"))
    finally:
        undo()
    assert len(ledger.rows("ledger")) == 2


def test_an_sdk_that_is_imported_later_is_observed(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "google.genai._api_client"
    monkeypatch.setattr(genai, "_api_client", sys.modules[name])  # put back at the end, as the next one is
    monkeypatch.delitem(sys.modules, name)
    undo = google.attach_everywhere(ledger)
    assert name not in sys.modules
    kind = importlib.import_module(name).BaseApiClient
    assert kind._request.agent_ledger_observer
    undo()
    assert not hasattr(kind._request, "agent_ledger_observer")


# -- batches ----------------------------------------------------------------------------------------------------------


def batch(state: str, *answers: dict[str, Any]) -> dict[str, Any]:
    inlined = [{"response": one} if "candidates" in one else {"error": one} for one in answers]
    metadata = {"model": f"models/{MODEL}", "state": f"BATCH_STATE_{state}", "name": "batches/b1"}
    if answers:
        metadata["output"] = {"inlinedResponses": {"inlinedResponses": inlined}}
    return {"name": "batches/b1", "metadata": metadata, "done": bool(answers)}


def test_the_answers_of_a_batch_are_calls_of_who_made_it(ledger: Ledger) -> None:
    nameless = gemini("?")
    del nameless["responseId"], nameless["modelVersion"]
    done = batch("SUCCEEDED", gemini("resp-1"), {"code": 13, "message": "no"}, nameless)
    with Replay(Answer.json(batch("PENDING")), Answer.json(batch("RUNNING")), Answer.json(done)) as server:
        client = observed(server, ledger)
        with attribute(agent_id="maker"):
            job = client.batches.create(model=MODEL, src=[types.InlinedRequest(contents="?")])
        with attribute(agent_id="fetcher"):
            client.batches.get(name=str(job.name))
            assert seen(ledger) == []
            client.batches.get(name=str(job.name))
            client.batches.get(name=str(job.name))
            assert last_request_id() is None
    rows = ledger.rows("ledger")
    assert [(row["agent_id"], row["request_id"], row["model"], row["service_tier"]) for row in rows] == [
        ("maker", "resp-1", MODEL, "batch"),
        ("maker", "batches/b1/2", MODEL, "batch"),
    ]


# -- recorded answers -------------------------------------------------------------------------------------------------


def recorded() -> list[dict[str, Any]]:
    path = FOLDER / "index.jsonl"
    rows = [json.loads(line) for line in path.read_bytes().split(b"\n") if line] if path.is_file() else []
    return [row for row in rows if row["provider"] == "google" and row["status"] == 200 and ":" in row["uri"][8:]]


@pytest.mark.skipif(not recorded(), reason=f"the recorded responses are not at {FOLDER}")
@pytest.mark.parametrize("is_async", [False, True])
def test_recorded_answers_are_captured_as_they_read(ledger: Ledger, *, is_async: bool) -> None:
    now: list[Answer] = []
    rows = [row for row in recorded() if "Content" in row["uri"].rpartition(":")[2]]
    found: list[Any] = []
    with Replay(lambda _: now[-1]) as server:
        client = observed(server, ledger)
        models: Any = client.aio.models if is_async else client.models

        async def replayed(*, streamed: bool, model: str) -> None:
            ask = models.generate_content_stream if streamed else models.generate_content
            answer = ask(model=model, contents="?")
            answer = await answer if is_async else answer
            if streamed and is_async:
                async for _ in answer:
                    pass
            elif streamed:
                list(answer)

        async def run() -> None:
            for row in rows:
                data = (FOLDER / row["file"]).read_bytes()
                model = row["uri"].rpartition("/")[2].partition(":")[0]
                streamed = row["file"].endswith(".sse")
                kind = "text/event-stream" if streamed else "application/json"
                now.append(Answer(data, headers={"content-type": kind}))
                if streamed:
                    expected = inferences_from_events(sse_events(data), model=model)
                else:
                    expected = inferences(json.loads(data), model=model)
                found.extend((one, row["file"]) for one in expected)
                with suppress(AttributeError):  # one is of a proxy that writes numbers for names
                    await replayed(streamed=streamed, model=model)
            await client.aio.aclose()

        asyncio.run(run())
    assert len(rows) == 61
    stored = ledger.rows("ledger")
    assert len(stored) == len(found)
    for row, (one, file) in zip(stored, found, strict=True):
        assert {name: row[name] for name in COUNTED} == {name: getattr(one, name) for name in COUNTED}, file
        assert (row["usage"] and json.loads(row["usage"])) == one.usage, file
