from __future__ import annotations

import base64
import gc
import importlib
import itertools
import json
import struct
import sys
import threading
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.eventstream import EventStream, EventStreamBuffer
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, EventStreamError
from botocore.response import StreamingBody
from replay import SAMPLES, Answer, Replay, Request, anthropic_message, anthropic_stream

from agent_ledger import Ledger
from agent_ledger.attribution import Attribution, attribute, last_request_id
from agent_ledger.capture import bedrock
from agent_ledger.usage import inferences, inferences_from_events

FOLDER = SAMPLES / "llm_responses"
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
ASK: Any = [{"role": "user", "content": [{"text": "Pay?"}]}]
USAGE = {"inputTokens": 100, "outputTokens": 20, "totalTokens": 150, "cacheReadInputTokens": 30}
METRICS = {"inputTokenCount": 12, "outputTokenCount": 3, "invocationLatency": 9, "firstByteLatency": 1}
COUNTS = {"x-amzn-bedrock-input-token-count": "12", "x-amzn-bedrock-output-token-count": "3"}
COUNTED = (
    "model", "provider", "prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens",
    "cache_write_1h_tokens", "reasoning_tokens", "service_tier", "part", "evidence", "anomaly",
)  # fmt: skip


def frame(kind: str, event: Mapping[str, Any], *, message: str = "event") -> bytes:
    """One message of application/vnd.amazon.eventstream."""
    names = {f":{message}-type": kind, ":content-type": "application/json", ":message-type": message}
    headers = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(value)) + value.encode()
        for name, value in names.items()
    )
    payload = json.dumps(event).encode()
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    prelude += struct.pack(">I", zlib.crc32(prelude))
    whole = prelude + headers + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


def framed(frames: list[bytes], **options: Any) -> Answer:
    return Answer(frames, headers={"content-type": "application/vnd.amazon.eventstream"}, **options)


def converse() -> dict[str, Any]:
    message = {"role": "assistant", "content": [{"text": "Paid."}]}
    return {"output": {"message": message}, "stopReason": "end_turn", "usage": USAGE, "metrics": {"latencyMs": 9}}


def converse_frames() -> list[bytes]:
    return [
        frame("messageStart", {"role": "assistant"}),
        frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Paid."}}),
        frame("contentBlockStop", {"contentBlockIndex": 0}),
        frame("messageStop", {"stopReason": "end_turn"}),
        frame("metadata", {"usage": USAGE, "metrics": {"latencyMs": 9}}),
    ]


def chunk_frames(events: list[dict[str, Any]]) -> list[bytes]:
    """As InvokeModelWithResponseStream wraps the events of a model's vendor."""
    return [frame("chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode()}) for event in events]


def claude_frames() -> list[bytes]:
    *events, last = anthropic_stream()
    return chunk_frames([*events, {**last, "amazon-bedrock-invocationMetrics": METRICS}])


def answer(request: Request, number: int | str) -> Answer:
    operation = request.path.rpartition("/")[2]
    found = {
        "converse": Answer.json(converse()),
        "converse-stream": framed(converse_frames()),
        "invoke": Answer.json(anthropic_message()),
        "invoke-with-response-stream": framed(claude_frames()),
        "count-tokens": Answer.json({"inputTokens": 5}),
    }[operation]
    return Answer(found.body, headers={**found.headers, "x-amzn-requestid": f"req-{number}"})


@pytest.fixture
def server() -> Iterator[Replay]:
    numbers = itertools.count(1)
    with Replay(lambda request: answer(request, request.headers.get("x-number") or next(numbers))) as server:
        yield server


def made(server: Replay, service: str = "bedrock-runtime") -> Any:
    return boto3.client(
        service, region_name="us-east-1", endpoint_url=server.url, aws_access_key_id="x", aws_secret_access_key="x",
        config=Config(retries={"mode": "standard", "max_attempts": 3}, max_pool_connections=20),
    )  # fmt: skip


def observed(server: Replay, ledger: Ledger) -> Any:
    client = made(server)
    assert bedrock.attach(client, ledger)
    return client


def seen(ledger: Ledger) -> list[tuple[Any, ...]]:
    names = ("agent_id", "request_id", "model", "prompt_tokens", "completion_tokens", "cache_read_tokens", "evidence")
    return [tuple(row[name] for name in names) for row in ledger.rows("ledger")]


def invoke(client: Any, model: str = MODEL) -> Any:
    return client.invoke_model(modelId=model, body=b"{}")


def invoke_stream(client: Any, model: str = MODEL) -> Any:
    return client.invoke_model_with_response_stream(modelId=model, body=b"{}")["body"]


CONVERSED = ("(unattributed)", "req-1", MODEL, 130, 20, 30, "response")
STREAMED = (*CONVERSED[:6], "stream")
INVOKED = ("(unattributed)", "req-1", "claude-sonnet-4-5-20250929", 1200, 300, None, "response")
CHUNKED = (*INVOKED[:6], "stream")


# -- what becomes a row -----------------------------------------------------------------------------------------------


def test_converse(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)
    with attribute(agent_id="payer", customer_id="acme"):
        answer = client.converse(modelId=MODEL, messages=ASK)
        assert last_request_id() == "req-1"
    assert answer["usage"]["inputTokens"] == 100
    assert answer["ResponseMetadata"]["RequestId"] == "req-1"
    [row] = ledger.rows("ledger")
    assert (row["agent_id"], row["customer_id"], row["provider"], row["model"]) == ("payer", "acme", "aws", MODEL)
    assert (row["request_id"], row["response_id"], row["evidence"]) == ("req-1", "req-1", "response")
    assert (row["prompt_tokens"], row["completion_tokens"], row["cache_read_tokens"]) == (130, 20, 30)


def test_converse_stream(server: Replay, ledger: Ledger) -> None:
    stream = observed(server, ledger).converse_stream(modelId=MODEL, messages=ASK)["stream"]
    assert isinstance(stream, EventStream)
    assert last_request_id() == "req-1"
    events = list(stream)
    assert [next(iter(event)) for event in events] == [
        "messageStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
    ]  # fmt: skip
    assert events[1]["contentBlockDelta"]["delta"]["text"] == "Paid."
    assert seen(ledger) == [STREAMED]
    stream.close()
    assert len(seen(ledger)) == 1


def test_invoke_model(server: Replay, ledger: Ledger) -> None:
    body = invoke(observed(server, ledger))["body"]
    assert isinstance(body, StreamingBody)
    assert seen(ledger) == []
    assert json.load(body) == anthropic_message()
    assert seen(ledger) == [INVOKED]
    assert ledger.rows("ledger")[0]["response_id"] == anthropic_message()["id"]


def test_invoke_model_with_response_stream(server: Replay, ledger: Ledger) -> None:
    events = [json.loads(event["chunk"]["bytes"]) for event in invoke_stream(observed(server, ledger))]
    assert [event["type"] for event in events] == [event["type"] for event in anthropic_stream()]
    assert seen(ledger) == [CHUNKED]


def test_under_an_id_of_the_runtime_each_call_is_told_from_the_others(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)
    with attribute(agent_id="payer", request_id="run-1"):
        client.converse(modelId=MODEL, messages=ASK)
        list(client.converse_stream(modelId=MODEL, messages=ASK)["stream"])
        client.converse_stream(modelId=MODEL, messages=ASK)["stream"].close()
        client.converse_stream(modelId=MODEL, messages=ASK)["stream"].close()
        assert last_request_id() == "run-1"
    rows = ledger.rows("ledger")
    assert [(row["request_id"], row["response_id"]) for row in rows] == [("run-1", f"req-{n}") for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("model", [PROFILE, "us.amazon.nova-lite-v1:0", "anthropic.claude-3-haiku-20240307-v1:0:48k"])
def test_the_model_is_what_the_request_names(server: Replay, ledger: Ledger, model: str) -> None:
    client = observed(server, ledger)
    client.converse(modelId=model, messages=ASK)
    list(client.converse_stream(modelId=model, messages=ASK)["stream"])
    assert {row["model"] for row in ledger.rows("ledger")} == {model}


TITAN_EMBEDDING = {"embedding": [0.1], "inputTextTokenCount": 7}
LLAMA = {"generation": "Paid.", "prompt_token_count": 5, "generation_token_count": 2, "stop_reason": "stop"}
MISTRAL = {"outputs": [{"text": "Paid.", "stop_reason": "stop"}]}
COHERE_EMBEDDING = {"id": "e", "texts": ["?"], "embeddings": [[0.1]], "response_type": "embeddings_floats"}


@pytest.mark.parametrize(
    ("body", "headers", "counted"),
    [
        (TITAN_EMBEDDING, {}, (7, 0)),
        (LLAMA, COUNTS, (5, 2)),  # the body's own count
        (MISTRAL, {}, (None, None)),
        (MISTRAL, COUNTS, (12, 3)),
        (COHERE_EMBEDDING, {"x-amzn-bedrock-input-token-count": "12"}, (12, 0)),
        ({"images": ["aGk="]}, {}, (None, None)),
        ({"what": "ever"}, COUNTS, (12, 3)),
        ({"what": "ever"}, {**COUNTS, "x-amzn-bedrock-cache-read-input-token-count": "100"}, (112, 3)),
    ],
)
def test_bodies_of_invoke_model(
    ledger: Ledger, body: dict[str, Any], headers: dict[str, str], counted: tuple[int | None, int | None]
) -> None:
    plain = Answer.json(body)
    names = {**plain.headers, **headers, "x-amzn-requestid": "req-1"}
    with Replay(Answer(plain.body, headers=names)) as server:
        assert json.load(invoke(observed(server, ledger), "vendor.model-v1")["body"]) == body
    [row] = ledger.rows("ledger")
    assert (row["prompt_tokens"], row["completion_tokens"]) == counted
    assert (row["model"], row["request_id"]) == ("vendor.model-v1", "req-1")


def test_streams_of_other_vendors_end_with_metrics(ledger: Ledger) -> None:
    events: list[dict[str, Any]] = [
        {"generation": "Pa", "prompt_token_count": 12, "generation_token_count": 1, "stop_reason": None},
        {"generation": "id.", "prompt_token_count": None, "generation_token_count": 3, "stop_reason": "stop",
         "amazon-bedrock-invocationMetrics": METRICS},
    ]  # fmt: skip
    with Replay(framed(chunk_frames(events))) as server:
        list(invoke_stream(observed(server, ledger), "meta.llama3-70b-instruct-v1:0"))
    [row] = ledger.rows("ledger")
    assert (row["prompt_tokens"], row["completion_tokens"], row["evidence"]) == (12, 3, "stream")


def test_what_is_no_inference_makes_no_row(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)
    asked = {"converse": {"messages": ASK}}
    assert client.count_tokens(modelId="anthropic.claude-sonnet-4-20250514-v1:0", input=asked)["inputTokens"] == 5
    assert seen(ledger) == []


# -- streams and bodies that are not read as a whole ------------------------------------------------------------------


def test_a_stream_that_is_closed_early_is_partial(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)
    stream = client.converse_stream(modelId=MODEL, messages=ASK)["stream"]
    assert "messageStart" in next(iter(stream))
    assert "contentBlockDelta" in next(iter(stream))  # another iterator goes on
    assert seen(ledger) == []
    stream.close()
    assert seen(ledger) == [(*CONVERSED[:3], None, None, None, "partial")]
    stream = invoke_stream(client)
    assert b"message_start" in next(iter(stream))["chunk"]["bytes"]
    stream.close()
    assert seen(ledger)[1] == ("(unattributed)", "req-2", INVOKED[2], 1200, 1, None, "partial")


def test_a_stream_that_nobody_reads_is_partial(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)
    client.converse_stream(modelId=MODEL, messages=ASK)["stream"].close()
    invoke_stream(client).close()
    invoke(client)["body"].close()
    assert [row[3:] for row in seen(ledger)] == [(None, None, None, "partial")] * 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # botocore leaves its socket open
def test_a_stream_that_is_let_go(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)
    for event in client.converse_stream(modelId=MODEL, messages=ASK)["stream"]:
        if "metadata" in event:
            break
    assert seen(ledger) == [STREAMED]
    for event in client.converse_stream(modelId=MODEL, messages=ASK)["stream"]:
        if "messageStop" in event:
            break
    gc.collect()  # botocore's streams are in a cycle
    assert [row[3:] for row in seen(ledger)[1:]] == [(None, None, None, "partial")]


def test_a_body_that_nobody_reads_counts_as_its_headers_say(ledger: Ledger) -> None:
    plain = Answer.json(anthropic_message())
    with Replay(Answer(plain.body, headers={**plain.headers, **COUNTS})) as server:
        body = invoke(observed(server, ledger))["body"]
        with body as raw:
            assert json.loads(raw.read()) == anthropic_message()
    assert [(row["model"], row["prompt_tokens"]) for row in ledger.rows("ledger")] == [(MODEL, 12)]


def test_a_body_without_a_length_that_is_read_in_pieces(ledger: Ledger) -> None:
    data = json.dumps(anthropic_message()).encode()
    pieces = [data[:50], data[50:]]
    with Replay(Answer(pieces, headers={"content-type": "application/json"})) as server:
        body = invoke(observed(server, ledger))["body"]
        assert b"".join(body.iter_chunks(30)) == data
    assert [row[3:] for row in seen(ledger)] == [INVOKED[3:]]


def test_a_body_is_a_row_when_its_last_byte_is_read(server: Replay, ledger: Ledger) -> None:
    data = json.dumps(anthropic_message()).encode()
    body = invoke(observed(server, ledger))["body"]
    assert body.read(len(data)) == data
    assert seen(ledger) == [INVOKED]


def test_an_error_inside_a_stream_is_raised_and_the_row_partial(ledger: Ledger) -> None:
    thrown = frame("modelStreamErrorException", {"message": "no"}, message="exception")
    with Replay(framed([*converse_frames()[:2], thrown])) as server:
        stream = observed(server, ledger).converse_stream(modelId=MODEL, messages=ASK)["stream"]
        with pytest.raises(EventStreamError):
            list(stream)
        stream.close()
        assert [row[3:] for row in seen(ledger)] == [(None, None, None, "partial")]


def test_a_stream_that_breaks_off_is_partial(ledger: Ledger) -> None:
    with Replay(framed(converse_frames()[:2], cut=True)) as server:
        stream = observed(server, ledger).converse_stream(modelId=MODEL, messages=ASK)["stream"]
        with pytest.raises(Exception, match=r"ended prematurely|Connection broken"):
            list(stream)
        stream.close()
        assert [row[3:] for row in seen(ledger)] == [(None, None, None, "partial")]


def test_a_stream_is_not_read_ahead(ledger: Ledger) -> None:
    go = threading.Event()

    class Waiting(list[bytes]):
        def __iter__(self) -> Iterator[bytes]:
            first, *rest = list.__iter__(self)
            yield first
            assert go.wait(5)
            yield from rest

    with Replay(framed(Waiting(converse_frames()))) as server:
        stream = observed(server, ledger).converse_stream(modelId=MODEL, messages=ASK)["stream"]
        assert "messageStart" in next(iter(stream))
        go.set()
        assert len(list(stream)) == 4
    assert [row[3:] for row in seen(ledger)] == [STREAMED[3:]]


# -- errors and retries -----------------------------------------------------------------------------------------------


def test_errors_make_no_row(ledger: Ledger) -> None:
    with Replay(Answer(b'{"message": "no"}', 400, {"x-amzn-errortype": "ValidationException"})) as server:
        client = observed(server, ledger)
        with pytest.raises(ClientError, match="ValidationException"):
            client.converse(modelId=MODEL, messages=ASK)
        with pytest.raises(ClientError):
            client.converse_stream(modelId=MODEL, messages=ASK)
        with pytest.raises(ClientError):
            invoke(client)
    assert seen(ledger) == []


def test_retries_are_one_call(ledger: Ledger) -> None:
    busy = Answer(b'{"message": "slow"}', 429, {"x-amzn-errortype": "ThrottlingException"})
    good = Answer.json(converse(), **{"x-amzn-requestid": "req-1"})
    with Replay(busy, good) as server:
        answer = observed(server, ledger).converse(modelId=MODEL, messages=ASK)
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert seen(ledger) == [CONVERSED]


def test_a_server_that_is_not_there_makes_no_row(server: Replay, ledger: Ledger) -> None:
    config = Config(retries={"total_max_attempts": 1})
    client = boto3.client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url="http://127.0.0.1:9", aws_access_key_id="x",
        aws_secret_access_key="x", config=config,
    )  # fmt: skip
    assert bedrock.attach(client, ledger)
    with attribute(agent_id="a"):
        with pytest.raises((EndpointConnectionError, ConnectionClosedError)):
            client.converse(modelId=MODEL, messages=ASK)
        observed(server, ledger).converse(modelId=MODEL, messages=ASK)
        # Were the first one still under way, this could not be told.
        assert threaded(last_request_id, "a") is None
    assert len(seen(ledger)) == 1


def threaded(function: Any, agent_id: str) -> Any:
    """What `function` returns in another thread, as this agent."""
    found: list[Any] = []

    def work() -> None:
        with attribute(agent_id=agent_id):
            found.append(function())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found[0]


# -- who observes -----------------------------------------------------------------------------------------------------


def everything(client: Any) -> None:
    client.converse(modelId=MODEL, messages=ASK)
    list(client.converse_stream(modelId=MODEL, messages=ASK)["stream"])
    invoke(client)["body"].read()
    list(invoke_stream(client))


EVERYTHING = [CONVERSED[2:], STREAMED[2:], INVOKED[2:], CHUNKED[2:]]


def test_attaching_twice_is_harmless_and_two_ledgers_both_record(
    server: Replay, ledger: Ledger, tmp_path: Path
) -> None:
    client = observed(server, ledger)
    with Ledger(tmp_path / "other.db") as other:
        for _ in range(2):
            assert bedrock.attach(client, ledger)
            assert bedrock.attach(client, other)
        everything(client)
        assert [row[2:] for row in seen(ledger)] == EVERYTHING
        assert seen(ledger) == seen(other)


def test_provider_and_defaults(server: Replay, ledger: Ledger) -> None:
    client = made(server)
    bedrock.attach(client, ledger, provider="gateway", defaults=Attribution(agent_id="default", customer_id="acme"))
    bedrock.attach(client, ledger, provider="other")
    client.converse(modelId=MODEL, messages=ASK)
    [row] = ledger.rows("ledger")
    assert (row["agent_id"], row["customer_id"], row["provider"]) == ("default", "acme", "gateway")


def test_other_things_are_not_attached(server: Replay, ledger: Ledger) -> None:
    for thing in (None, object(), boto3, made(server, "sts")):
        assert not bedrock.attach(thing, ledger)


def test_threads_that_share_a_client_do_not_meet(server: Replay, ledger: Ledger) -> None:
    client = observed(server, ledger)
    numbers = threading.local()

    def number_it(request: Any, **_: Any) -> None:
        request.headers["x-number"] = numbers.now

    client.meta.events.register("before-sign.bedrock-runtime.*", number_it)

    def work(agent: int) -> None:
        with attribute(agent_id=f"agent-{agent}"):
            for turn in range(4):
                numbers.now = f"agent-{agent}.{turn}"
                client.converse(modelId=MODEL, messages=ASK)
                assert last_request_id() == f"req-agent-{agent}.{turn}"
                numbers.now = f"agent-{agent}.s{turn}"
                list(client.converse_stream(modelId=MODEL, messages=ASK)["stream"])

    threads = [threading.Thread(target=work, args=(agent,)) for agent in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = ledger.rows("ledger")
    assert len(rows) == 8 * 4 * 2
    assert all(row["request_id"].startswith(f"req-{row['agent_id']}.") for row in rows)
    assert all(row["prompt_tokens"] == 130 for row in rows)


# -- everywhere -------------------------------------------------------------------------------------------------------


def test_everywhere_until_it_is_undone(server: Replay, ledger: Ledger) -> None:
    before, call = made(server), BaseClient._make_api_call
    undo = bedrock.attach_everywhere(ledger)
    before.converse(modelId=MODEL, messages=ASK)
    everything(made(server))
    assert [row[2:] for row in seen(ledger)] == [CONVERSED[2:], *EVERYTHING]
    undo()
    undo()
    assert BaseClient._make_api_call is call
    before.converse(modelId=MODEL, messages=ASK)
    assert len(seen(ledger)) == 5
    again = bedrock.attach_everywhere(ledger)
    invoke(before)["body"].read()
    again()
    assert [row[2:] for row in seen(ledger)[5:]] == [INVOKED[2:]]


@pytest.mark.parametrize("own_first", [True, False])
def test_a_client_of_its_own_everywhere_is_recorded_once(server: Replay, ledger: Ledger, *, own_first: bool) -> None:
    client, own = made(server), Attribution(agent_id="own")
    if own_first:
        bedrock.attach(client, ledger, defaults=own)
    undo = bedrock.attach_everywhere(ledger)
    client.converse(modelId=MODEL, messages=ASK)
    bedrock.attach(client, ledger, defaults=own)
    client.converse(modelId=MODEL, messages=ASK)
    undo()
    client.converse(modelId=MODEL, messages=ASK)
    assert [row[:2] for row in seen(ledger)] == [
        ("own" if own_first else "(unattributed)", "req-1"),
        ("own", "req-2"),
        ("own", "req-3"),
    ]


def test_botocore_that_is_imported_later_is_observed(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore

    name = "botocore.client"
    monkeypatch.setattr(botocore, "client", sys.modules[name])  # put back at the end, as the next one is
    monkeypatch.delitem(sys.modules, name)
    undo = bedrock.attach_everywhere(ledger)
    assert name not in sys.modules
    kind = importlib.import_module(name).BaseClient
    ours = kind._make_api_call
    assert ours.__code__.co_filename == bedrock.__file__
    undo()
    assert kind._make_api_call is ours.__wrapped__


# -- recorded answers -------------------------------------------------------------------------------------------------


def recorded() -> list[dict[str, Any]]:
    path = FOLDER / "index.jsonl"
    rows = [json.loads(line) for line in path.read_bytes().split(b"\n") if line] if path.is_file() else []
    return [row for row in rows if row["provider"] == "bedrock" and row["status"] == 200]


def recorded_events(data: bytes) -> list[dict[str, Any]]:
    """The events as they are named on the wire, decoded by botocore."""
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    events = []
    for event in buffer:
        payload, kind = json.loads(event.payload), event.headers[":event-type"]
        events.append(json.loads(base64.b64decode(payload["bytes"])) if kind == "chunk" else {kind: payload})
    return events


@pytest.mark.skipif(not recorded(), reason=f"the recorded responses are not at {FOLDER}")
@pytest.mark.parametrize("row", recorded(), ids=lambda row: row["file"])
def test_a_recorded_answer_is_captured_as_it_reads(recorder: Any, ledger: Ledger, row: dict[str, Any]) -> None:
    server, client = recorder
    assert bedrock.attach(client, ledger)
    data = (FOLDER / row["file"]).read_bytes()
    model, _, operation = row["uri"].partition("/model/")[2].replace("%3A", ":").rpartition("/")
    server.append(Answer(data, headers={"content-type": row["content_type"], "x-amzn-requestid": "req-1"}))
    if operation == "converse":
        client.converse(modelId=model, messages=ASK)
    elif operation == "converse-stream":
        list(client.converse_stream(modelId=model, messages=ASK)["stream"])
    elif operation == "invoke":
        assert invoke(client, model)["body"].read() == data
    elif operation == "count-tokens":
        client.count_tokens(modelId=model, input={"converse": {"messages": ASK}})
    else:
        list(invoke_stream(client, model))
    if row["file"].endswith(".bin"):
        expected = inferences_from_events(recorded_events(data), "aws", model=model)
    else:
        expected = inferences(json.loads(data), "aws", model=model)
    stored = ledger.rows("ledger")
    assert bool(stored) == (operation != "count-tokens")
    assert [{name: row[name] for name in COUNTED} for row in stored] == [
        {name: getattr(one, name) for name in COUNTED} for one in expected
    ]
    assert {row["request_id"] for row in stored} <= {"req-1"}


@pytest.fixture(scope="module")
def recorder() -> Iterator[tuple[list[Answer], Any]]:
    answers: list[Answer] = []
    with Replay(lambda _: answers[-1]) as server:
        yield answers, made(server)


def test_all_recorded_answers_are_there() -> None:
    assert len(recorded()) in (0, 52)
