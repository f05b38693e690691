"""Every recorded answer that a real SDK can be served: what is captured is what the SDK reports, and nothing else."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from replay import SAMPLES, Answer, Replay, Request

from agent_ledger import Ledger
from agent_ledger.usage import inferences, inferences_from_events, sse_events

FOLDER = SAMPLES / "llm_responses"

pytestmark = pytest.mark.skipif(
    not (FOLDER / "index.jsonl").is_file(), reason=f"the recorded responses are not at {FOLDER}"
)

ASK: Any = {"max_tokens": 1000, "messages": [{"role": "user", "content": "?"}]}
COUNTED = (
    "model", "response_id", "prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens",
    "cache_write_1h_tokens", "reasoning_tokens", "web_search_requests", "service_tier", "tier_tokens", "part",
    "reported_cost_usd", "anomaly",
)  # fmt: skip


def lines(name: str) -> list[dict[str, Any]]:
    path = FOLDER / name
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line] if path.is_file() else []


INDEX = {row["file"]: row for row in lines("index.jsonl")}
ORACLE = {row["file"]: row for row in lines("sdk_usage_oracle.jsonl")}
# Not through these SDKs: Google's and Amazon's own languages, a call of WebRTC, counting, a session's secret.
OTHERS = [
    name
    for name, row in INDEX.items()
    if name not in ORACLE
    and not name.startswith(("google/", "bedrock/"))
    and not row["uri"].split("?")[0].endswith(("/calls", "/client_secrets", "/input_tokens"))
]
ERRORS_WITH_STATUS_200 = {"azure_openai/0054.json", "groq/0037.sse", "openrouter/0019.sse"}


class Stage:
    """One server that plays what it is told, one ledger, and a client of each SDK."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.now: Answer | None = None
        self.server = Replay(self._answer)
        self._count = self._seen = 0

    def _answer(self, request: Request) -> Answer:  # noqa: ARG002
        assert self.now
        return self.now

    def open(self) -> None:
        self.server.__enter__()
        url = self.server.url
        ready: dict[str, Any] = {"api_key": "x", "max_retries": 0}
        self.anthropic = self.ledger.instrument(anthropic.Anthropic(base_url=url, **ready))
        self.openai = self.ledger.instrument(openai.OpenAI(base_url=f"{url}/v1", **ready))
        self.azure = self.ledger.instrument(
            openai.AzureOpenAI(azure_endpoint=url, api_version="2026-01-01", **ready), provider="azure"
        )

    def close(self) -> None:
        for client in (self.anthropic, self.openai, self.azure):
            client.close()
        self.server.__exit__()

    def play(self, answer: Answer, call: Callable[[], object]) -> list[dict[str, Any]]:
        """The rows that `call` makes, which gets `answer`."""
        self._count += 1
        request_id = f"req_{self._count}"
        names = {"request-id": request_id, "x-request-id": request_id}
        self.now = Answer(answer.body, answer.status, {**answer.headers, **names})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # models come and go
            call()
        rows = self.ledger.rows("ledger")[self._seen :]
        self._seen += len(rows)
        assert all(row["request_id"] == request_id for row in rows)
        return rows


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Ledger(tmp_path_factory.mktemp("samples") / "ledger.db") as ledger:
        stage = Stage(ledger)
        stage.open()
        yield stage
        stage.close()


def recorded(name: str) -> Answer:
    data = (FOLDER / name).read_bytes()
    status = INDEX[name]["status"]
    if name.endswith(".sse"):
        return Answer(data, status, {"content-type": "text/event-stream"})
    return Answer(data, status, {"content-type": "application/json"})


def ask(stage: Stage, name: str, *, stream: bool | None = None) -> Callable[[], object]:
    """The call of the real SDK that was answered by this file."""
    uri = INDEX[name]["uri"].partition("?")[0].partition("#")[0]
    model = INDEX[name]["req_model"] or "m"
    streamed = name.endswith(".sse") if stream is None else stream
    if name.startswith("anthropic/"):
        return lambda: exhausted(stage.anthropic.beta.messages.create(model=model, stream=streamed, **ASK))
    client: Any = stage.azure if "/deployments/" in uri else stage.openai
    if uri.endswith("/embeddings"):
        return lambda: client.embeddings.create(model=model, input="?", encoding_format="float")
    if uri.endswith("/chat/completions"):
        return lambda: exhausted(client.chat.completions.create(model=model, messages=ASK["messages"], stream=streamed))
    if uri.endswith("/completions"):
        return lambda: exhausted(client.completions.create(model=model, prompt="?", stream=streamed))
    return lambda: exhausted(client.responses.create(model=model, input="?", stream=streamed))


def exhausted(answer: Any) -> object:
    if isinstance(answer, anthropic.Stream | openai.Stream):
        for _ in answer:
            pass
    return answer


def counted(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in COUNTED} | {"usage": row["usage"] and json.loads(row["usage"])}


# -- as the SDKs say --------------------------------------------------------------------------------------------------


def by_anthropic(row: dict[str, Any]) -> list[tuple[object, ...]]:
    """(model, input, output, read, written, written for an hour) of each inference, from the SDK's disjoint counts."""
    found = []
    for one in row["usage"]["iterations"] or [row["usage"]]:
        read, written = one["cache_read_input_tokens"] or 0, one["cache_creation_input_tokens"] or 0
        hour = (one["cache_creation"] or {}).get("ephemeral_1h_input_tokens", 0)
        model = one.get("model") or row["model"]
        found.append((model, one["input_tokens"] + read + written, one["output_tokens"], read, written, hour))
    return found


def by_openai(row: dict[str, Any]) -> list[tuple[object, ...]]:
    usage = row["usage"]
    if usage is None:
        return [(row["model"], None, None, 0, 0, 0)]
    prompt = usage.get("prompt_tokens", usage.get("input_tokens"))
    inside = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    completion = 0 if row["api"] == "embeddings" else usage.get("completion_tokens", usage.get("output_tokens"))
    read, written = inside.get("cached_tokens") or 0, inside.get("cache_write_tokens") or 0
    return [(row["model"], prompt, completion, read, written, 0)]


@pytest.mark.parametrize("name", [name for name, row in ORACLE.items() if row.get("api")])
def test_a_call_is_recorded_as_its_sdk_reports_it(stage: Stage, name: str) -> None:
    expected = ORACLE[name]
    call = ask(stage, name)
    if expected["api"] == "beta.messages.stream":

        def call() -> None:
            with stage.anthropic.beta.messages.stream(model="m", **ASK) as stream:
                stream.get_final_message()

    rows = stage.play(recorded(name), call)
    found = [
        (
            row["model"],
            row["prompt_tokens"],
            row["completion_tokens"],
            row["cache_read_tokens"] or 0,
            row["cache_write_tokens"] or 0,
            row["cache_write_1h_tokens"] or 0,
        )
        for row in rows
    ]
    assert found == (by_anthropic(expected) if name.startswith("anthropic/") else by_openai(expected))
    assert {row["response_id"] for row in rows} == {expected.get("id")}
    pending = expected["status"] == "queued"
    evidence = "partial" if pending else "stream" if name.endswith(".sse") else "response"
    assert {row["evidence"] for row in rows} == {evidence}


@pytest.mark.parametrize("name", [name for name, row in INDEX.items() if row["status"] >= 400])
def test_an_error_makes_no_row(stage: Stage, name: str) -> None:
    def call() -> None:
        with pytest.raises(openai.APIStatusError):
            ask(stage, name)()

    assert stage.play(recorded(name), call) == []


# -- as the recorded bodies say ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in OTHERS if INDEX[name]["status"] == 200])
def test_a_call_of_another_vendor_is_recorded_as_its_answer_says(stage: Stage, name: str) -> None:
    data, model = (FOLDER / name).read_bytes(), INDEX[name]["req_model"]
    if name.endswith(".sse"):
        found = inferences_from_events(sse_events(data), model=model)
    else:
        found = inferences(json.loads(data), model=model)
    if name in ERRORS_WITH_STATUS_200:

        def call() -> None:
            with suppress(openai.APIError):
                ask(stage, name)()
    else:
        call = ask(stage, name)  # type: ignore[assignment]

    rows = stage.play(recorded(name), call)
    if not found and json.loads(data).get("status") in ("queued", "in_progress"):
        assert [(row["response_id"], row["prompt_tokens"]) for row in rows] == [(json.loads(data)["id"], None)]
        return
    assert [counted(row) for row in rows] == [
        {name: getattr(one, name) for name in COUNTED} | {"usage": one.usage} for one in found
    ]
    azure = "/deployments/" in INDEX[name]["uri"]
    assert [row["provider"] for row in rows] == ["azure" if azure else one.provider for one in found]
    assert [row["evidence"] for row in rows] == [one.evidence for one in found]


# -- streamed and not -------------------------------------------------------------------------------------------------


def as_stream(name: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events that a provider would have sent instead of `body`."""
    if name.startswith("anthropic/"):
        usage = body["usage"]
        start = {**body, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1, "iterations": None}}
        blocks = enumerate(body["content"])
        return [
            {"type": "message_start", "message": start},
            *({"type": "content_block_start", "index": index, "content_block": block} for index, block in blocks),
            {"type": "message_delta", "delta": {"stop_reason": body["stop_reason"]}, "usage": usage},
            {"type": "message_stop"},
        ]
    if body.get("object") == "response":
        return [
            {"type": "response.created", "response": {**body, "status": "in_progress", "usage": None}},
            {"type": "response.completed", "response": body},
        ]
    choices = [{"index": 0, "delta": {"content": "."}, "finish_reason": None}]
    chunk = {**body, "object": "chat.completion.chunk", "usage": None, "choices": choices}
    done = {**chunk, "choices": [{**choices[0], "delta": {}, "finish_reason": "stop"}]}
    return [chunk, chunk, done, {**chunk, "choices": [], "usage": body["usage"]}]


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, row in ORACLE.items()
        if name.endswith(".json") and row.get("usage") and not row["api"].startswith("embed")
    ],
)
def test_c16_a_streamed_answer_is_recorded_like_the_same_in_one_piece(stage: Stage, name: str) -> None:
    body = json.loads((FOLDER / name).read_bytes())
    whole = stage.play(recorded(name), ask(stage, name))
    streamed = stage.play(Answer.sse(as_stream(name, body)), ask(stage, name, stream=True))
    assert [counted(row) for row in streamed] == [counted(row) for row in whole]
    assert {row["evidence"] for row in streamed} == {"stream"}


def test_nothing_is_missing() -> None:
    assert sum(1 for row in ORACLE.values() if row.get("api")) == 142
    assert sum(1 for name in OTHERS if INDEX[name]["status"] == 200) == 187
    assert sum(1 for row in INDEX.values() if row["status"] >= 400) == 14
    assert {Path(name).suffix for name in OTHERS} == {".json", ".sse"}
