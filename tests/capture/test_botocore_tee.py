from __future__ import annotations

import gc
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.response import StreamingBody
from urllib3 import HTTPResponse

from agent_ledger.capture.botocore_tee import tee

BODY = b"0123456789" * 300


class Heard:
    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ends: list[bool] = []

    def came(self, piece: Any) -> None:
        self.pieces.append(piece)

    def ended(self, *, complete: bool) -> None:
        self.ends.append(complete)


def body(*heard: Heard, length: int | None = len(BODY)) -> StreamingBody:
    raw = HTTPResponse(io.BytesIO(BODY), preload_content=False)
    stream = StreamingBody(raw, length)
    for one in heard:
        tee(stream, one)
    return stream


def by_readinto(stream: StreamingBody) -> bytes:
    found, buffer = b"", bytearray(1000)
    while amount := stream.readinto(buffer):
        found += buffer[:amount]
    return found


WAYS: dict[str, Callable[[StreamingBody], bytes]] = {
    "read": lambda stream: stream.read(),
    "read pieces": lambda stream: b"".join(iter(lambda: stream.read(700), b"")),
    "iterate": lambda stream: b"".join(stream),
    "next": lambda stream: b"".join(iter(lambda: next(stream, b""), b"")),
    "chunks": lambda stream: b"".join(stream.iter_chunks(999)),
    "lines": lambda stream: b"".join(stream.iter_lines()),
    "readlines": lambda stream: b"".join(stream.readlines()),
    "readinto": by_readinto,
}


@pytest.mark.parametrize("way", WAYS)
def test_however_a_body_is_read_it_is_heard(way: str) -> None:
    first, second = Heard(), Heard()
    stream = body(first, second)
    assert WAYS[way](stream) == WAYS[way](body()) == BODY
    for heard in (first, second):
        assert b"".join(heard.pieces) == BODY
        assert heard.ends[0] is True


def test_it_stays_what_it_is() -> None:
    heard = Heard()
    stream = body(heard)
    assert isinstance(stream, StreamingBody)
    assert type(stream).__name__ == "StreamingBody"
    assert stream.readable()
    assert stream.tell() == 0
    assert stream.read(10) == BODY[:10]
    assert heard.pieces == [BODY[:10]]
    stream.close()
    assert heard.ends == [False]


def test_json_load_reads_it() -> None:
    raw = HTTPResponse(io.BytesIO(b'{"a": 1}'), preload_content=False)
    stream = StreamingBody(raw, 8)
    heard = Heard()
    tee(stream, heard)
    assert json.load(stream) == {"a": 1}
    assert heard.pieces == [b'{"a": 1}']


def test_with_a_with_block_the_inner_stream_is_handed_out_as_before() -> None:
    heard = Heard()
    with body(heard) as raw:
        assert raw.read() == BODY
    assert heard.pieces == []
    assert set(heard.ends) == {False}


def test_one_that_nobody_holds_has_ended() -> None:
    heard = Heard()
    stream = body(heard)
    raw = stream._raw_stream
    gc.disable()
    try:
        del stream
        assert heard.ends == [False]
        assert not raw.closed  # as botocore promises
    finally:
        gc.enable()


def test_an_error_of_reading_is_the_callers() -> None:
    heard = Heard()
    stream = body(heard, length=len(BODY) + 1)
    with pytest.raises(Exception, match="read, but total bytes expected"):
        stream.read()
    assert heard.ends == [False]


def test_another_stream_is_refused() -> None:
    with pytest.raises(TypeError, match="no stream of botocore"):
        tee(io.BytesIO(), Heard())
