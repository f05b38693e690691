from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import httpx2
import pytest
from botocore.eventstream import EventStreamBuffer
from replay import SAMPLES, Answer, anthropic_stream, openai_stream

from agent_ledger.capture.answers import aws_events, decoded, json_lines, telling, unpacked
from agent_ledger.errors import UnknownUsage
from agent_ledger.usage import inferences_from_events, sse_events

RECORDED = sorted((SAMPLES / "llm_responses").glob("*/*.sse"))
AWS = sorted((SAMPLES / "llm_responses").glob("*/*.bin"))
DELTA = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "service_tier": "default"}


def raw(*events: Any, between: bytes = b"\n\n") -> bytes:
    """As providers write it: without spaces."""
    return b"".join(b"data: " + json.dumps(event, separators=(",", ":")).encode() + between for event in events)


def chunk(delta: Any, **more: Any) -> dict[str, Any]:
    return {**DELTA, "choices": [{"index": 0, "delta": delta, "finish_reason": None}], "usage": None, **more}


@pytest.mark.skipif(not RECORDED, reason="the recorded responses are not there")
def test_what_is_left_of_every_recorded_stream_amounts_to_the_same() -> None:
    for path in RECORDED:
        data = path.read_bytes()
        expected = inferences_from_events(sse_events(data), model="m")
        assert inferences_from_events(sse_events(telling(data)), model="m") == expected, path
        # And wherever the connection broke.
        for cut in range(0, len(data), max(len(data) // 7, 1)):
            assert outcome(data[:cut], telling(data[:cut])), (path, cut)
    assert len(RECORDED) == 76


def outcome(data: bytes, less: bytes) -> bool:
    def said(part: bytes) -> object:
        try:
            return inferences_from_events(sse_events(part), model="m")
        except UnknownUsage as error:
            return str(error)

    return said(data) == said(less)


@pytest.mark.parametrize("between", [b"\n\n", b"\r\n\r\n"])
def test_text_is_left_out_and_the_rest_is_kept(between: bytes) -> None:
    words = [chunk({"content": f"word {number}"}) for number in range(100)]
    told = chunk({"content": 'he said "usage" and "finish_reason"'})
    last = chunk({}, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
    usage = {**DELTA, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
    other = chunk({"content": "x"}, service_tier="flex")
    late = chunk({"content": "x"}) | {"x_groq": {"usage": usage["usage"]}}
    data = raw(*words, told, *words, other, late, last, usage, between=between)
    kept = sse_events(telling(data))
    assert [event for event in kept if event not in words and event != told] == [other, late, last, usage]
    assert len(kept) < 10
    anthropic = Answer.sse(anthropic_stream()).body
    assert [event["type"] for event in sse_events(telling(b"".join(anthropic)))].count("content_block_delta") == 0


def test_a_long_stream_of_text_is_nearly_nothing() -> None:
    text = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word"}}
    spoken = {"type": "response.output_text.delta", "delta": 'a \n\ndata: {"type":"response.completed"} b'}
    assert sse_events(telling(raw({"type": "message_start"}, *[text] * 500))) == [{"type": "message_start"}]
    assert sse_events(telling(raw({"type": "response.created"}, *[spoken] * 500))) == [{"type": "response.created"}]


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_a_broken_compressed_body_is_unpacked_as_far_as_it_goes(compress: Any) -> None:
    encoding = "gzip" if compress is gzip.compress else "deflate"
    body = b"".join(Answer.sse(openai_stream()).body) * 50
    packed = compress(body)
    headers = httpx2.Headers({"content-encoding": encoding, "content-type": "text/event-stream"})
    assert unpacked(httpx2.Response, headers, [packed[:90], packed[90:]]) == body
    part = unpacked(httpx2.Response, headers, [packed[: len(packed) // 2]])
    assert part
    assert body.startswith(part)
    assert unpacked(httpx2.Response, headers, []) == b""
    with pytest.raises(UnknownUsage, match="can't be unpacked"):
        unpacked(httpx2.Response, headers, [b"not compressed at all"])


def test_what_a_body_is() -> None:
    assert decoded(b'{"id": 1}', "application/json") == ({"id": 1}, None)
    assert decoded(b'[{"id": 1}]', "application/json") == ([{"id": 1}], None)
    assert decoded(b'data: {"id": 1}\n\n', "text/event-stream") == (None, [{"id": 1}])
    assert decoded(b'data: {"id": 1}\n\n', "text/plain") == (None, [{"id": 1}])
    with pytest.raises(UnknownUsage, match="not JSON"):
        decoded(b"<html>", "text/html")
    with pytest.raises(UnknownUsage, match="not JSON"):
        decoded(b'{"id": 1, "conte', "application/json")


@pytest.mark.parametrize(
    ("last", "lists", "skipped"),
    [("usage", None, True), ("data", None, True), ("data", [1], True), ("usage", [1], False)],
)
def test_vectors_are_not_decoded(last: str, lists: Any, skipped: bool) -> None:
    vectors = [{"object": "embedding", "index": n, "embedding": [0.25] * 1000} for n in range(20)]
    body: dict[str, Any] = {"object": "list", "data": vectors, "model": "m", "usage": {"total_tokens": 5, "x": lists}}
    body[last] = body.pop(last)
    found, events = decoded(json.dumps(body).encode(), "application/json")
    assert events is None
    assert found == (body | {"data": []} if skipped else body)


@pytest.mark.skipif(not AWS, reason="the recorded responses are not there")
@pytest.mark.parametrize("path", AWS, ids=lambda path: path.stem)
def test_amazons_event_streams_are_read_as_botocore_reads_them(path: Path) -> None:
    data = path.read_bytes()
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    payloads = [json.loads(message.payload) for message in buffer]
    found = aws_events(data)
    assert found == [json.loads(base64.b64decode(one["bytes"])) if "bytes" in one else one for one in payloads]
    assert aws_events(data[:-1]) == found[:-1]
    assert aws_events(b"") == aws_events(b"\0" * 40) == []


def test_text_is_left_out_of_amazons_event_streams_too() -> None:
    data = b"".join(Answer.aws(anthropic_stream()).body)
    assert [event["type"] for event in aws_events(data)] == [
        event["type"] for event in anthropic_stream() if event["type"] != "content_block_delta"
    ]


def test_lines_of_json() -> None:
    assert json_lines(b'{"a": "x\xe2\x80\xa8y"}\n\n{"a": 2}\r\n{"a": ') == [{"a": "x\u2028y"}, {"a": 2}]
    assert json_lines(b'{"a": 1}\n[2]\n') == [{"a": 1}]
    with pytest.raises(ValueError, match="Expecting"):
        json_lines(b'{"a": \n{"a": 2}\n')
