"""A local HTTP server that answers like a provider: what the real SDKs talk to in these tests.

    with Replay(Answer.json(anthropic_message())) as server:
        client = anthropic.Anthropic(base_url=server.url, api_key="x")

Answers come in the order given, the last one again and again; a function gets the request and returns its answer.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

SAMPLES = Path(__file__).resolve().parents[2] / "shared" / "samples"


@dataclass(frozen=True)
class Request:
    method: str
    path: str  # with the query
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    body: bytes | Sequence[bytes]  # several: sent as chunks, one by one
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0  # seconds before the headers, and between chunks
    cut: bool = False  # break the connection instead of ending the body
    hold: int | None = None  # after so many chunks nothing comes any more, as long as the server runs

    @classmethod
    def json(cls, body: Any, **headers: str) -> Answer:
        """A JSON answer; header names are given with _ for -."""
        return cls(json.dumps(body).encode(), headers={"content-type": "application/json"} | _names(headers))

    @classmethod
    def sse(cls, events: Sequence[Mapping[str, Any]], *, done: bool = False, **headers: str) -> Answer:
        """A stream of events, each with the name that its "type" gives; `done` adds OpenAI's [DONE]."""
        chunks = [
            (f"event: {event['type']}\n" if "type" in event else "").encode()
            + f"data: {json.dumps(event)}\n\n".encode()
            for event in events
        ]
        return cls.stream(chunks + ([b"data: [DONE]\n\n"] if done else []), **headers)

    @classmethod
    def stream(cls, body: bytes | Sequence[bytes], **headers: str) -> Answer:
        """A recorded event stream, verbatim."""
        chunks = [part + b"\n\n" for part in body.split(b"\n\n") if part] if isinstance(body, bytes) else body
        return cls(chunks, headers={"content-type": "text/event-stream; charset=utf-8"} | _names(headers))

    @classmethod
    def aws(cls, events: Sequence[Mapping[str, Any]], **headers: str) -> Answer:
        """A stream as InvokeModelWithResponseStream sends it."""
        kind = {"content-type": "application/vnd.amazon.eventstream"}
        return cls([_aws_chunk(event) for event in events], headers=kind | _names(headers))

    def gzipped(self) -> Answer:
        body = self.body if isinstance(self.body, bytes) else b"".join(self.body)
        packed = gzip.compress(body)
        parts: bytes | Sequence[bytes] = packed
        if not isinstance(self.body, bytes):
            parts = [packed[start : start + 50] for start in range(0, len(packed), 50)]
        return replace(self, body=parts, headers={**self.headers, "content-encoding": "gzip"})


def _aws_chunk(event: Mapping[str, Any]) -> bytes:
    names = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(value)) + value.encode()
        for name, value in names.items()
    )
    payload = json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode()}).encode()
    prelude = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def _names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


class Replay:
    """The server, on a free port of the loopback interface, from `with` until its end."""

    def __init__(self, *answers: Answer | Callable[[Request], Answer]) -> None:
        self._answers = list(answers)
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self.requests: list[Request] = []

    def __enter__(self) -> Self:
        replay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: Any) -> None:
                pass

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, TimeoutError):
                    self.close_connection = True  # the client closed a stream early

            def _answer(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, b"".join(self._body()))
                self._send(replay._answer(request))

            def _body(self) -> Iterator[bytes]:
                if self.headers.get("transfer-encoding") != "chunked":
                    yield self.rfile.read(int(self.headers.get("content-length") or 0))
                    return
                while length := int(self.rfile.readline(), 16):
                    yield self.rfile.read(length)
                    self.rfile.readline()
                self.rfile.readline()

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815

            def _send(self, answer: Answer) -> None:
                time.sleep(answer.delay)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if isinstance(answer.body, bytes):
                    self.send_header("content-length", str(len(answer.body)))
                    self.end_headers()
                    self.wfile.write(answer.body)
                    return
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for number, chunk in enumerate(answer.body):
                    if number == answer.hold:
                        replay._ending.wait()
                        self.close_connection = True
                        return
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                    self.wfile.flush()
                    time.sleep(answer.delay)
                if answer.cut:
                    self.close_connection = True
                    return
                self.wfile.write(b"0\r\n\r\n")

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 512

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            answer = self._answers[0] if len(self._answers) == 1 else self._answers.pop(0)
        return answer if isinstance(answer, Answer) else answer(request)


# -- answers of our own, for where no recorded one is at hand ---------------------------------------------------------


def anthropic_message(id: str = "msg_01AbCdEfGhIjKlMnOpQrStUv", **usage: Any) -> dict[str, Any]:  # noqa: A002
    """A Messages answer: 1,200 tokens in, 300 out, unless `usage` says otherwise."""
    return {
        "id": id, "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": "Paid."}], "stop_reason": "end_turn", "stop_sequence": None,
        "usage": {"input_tokens": 1200, "output_tokens": 300, "service_tier": "standard", **usage},
    }  # fmt: skip


def anthropic_stream(id: str = "msg_01AbCdEfGhIjKlMnOpQrStUv", **usage: Any) -> list[dict[str, Any]]:  # noqa: A002
    """The same answer as the events of a stream."""
    whole = anthropic_message(id, **usage)
    start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Paid."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
         "usage": {"output_tokens": whole["usage"]["output_tokens"]}},
        {"type": "message_stop"},
    ]  # fmt: skip


def openai_completion(id: str = "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012", **usage: Any) -> dict[str, Any]:  # noqa: A002
    """A Chat Completions answer: 100 tokens in, 20 out, unless `usage` says otherwise."""
    counts = {"prompt_tokens": 100, "completion_tokens": 20, **usage}
    return {
        "id": id, "object": "chat.completion", "created": 1760000000, "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None,
                     "message": {"role": "assistant", "content": "Paid.", "refusal": None}}],
        "usage": {**counts, "total_tokens": counts["prompt_tokens"] + counts["completion_tokens"]},
    }  # fmt: skip


def openai_stream(
    id: str = "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012",  # noqa: A002
    *,
    with_usage: bool = True,
    **usage: Any,
) -> list[dict[str, Any]]:
    """The same answer as the chunks of a stream, with the usage chunk that `include_usage` asks for."""
    whole = openai_completion(id, **usage)
    chunk = {"id": id, "object": "chat.completion.chunk", "created": whole["created"], "model": whole["model"]}
    chunks = [
        {**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Pa"}, "finish_reason": None}]},
        {**chunk, "choices": [{"index": 0, "delta": {"content": "id."}, "finish_reason": None}]},
        {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ]
    return [*chunks, {**chunk, "choices": [], "usage": whole["usage"]}] if with_usage else chunks


def openai_response(id: str = "resp_0123456789abcdef0123456789abcdef", **fields: Any) -> dict[str, Any]:  # noqa: A002
    """A Responses answer: 100 tokens in, 20 out."""
    return {
        "id": id, "object": "response", "created_at": 1760000000, "status": "completed", "model": "gpt-5-2025-08-07",
        "error": None, "incomplete_details": None, "instructions": None, "metadata": {}, "tools": [],
        "tool_choice": "auto", "parallel_tool_calls": True, "temperature": 1.0, "top_p": 1.0,
        "output": [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
                    "content": [{"type": "output_text", "text": "Paid.", "annotations": []}]}],
        "usage": {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 20,
                  "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 120},
        **fields,
    }  # fmt: skip
