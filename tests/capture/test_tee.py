from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from replay import Answer, Replay, anthropic_stream, openai_stream

from agent_ledger import Ledger
from agent_ledger.capture import http
from agent_ledger.capture.tee import end_all, tee

ASK: Any = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Pay?"}]}
READY: Any = {"api_key": "x", "max_retries": 0}
BEGUN = replace(Answer.sse(anthropic_stream(), request_id="req_1"), hold=1)  # the first event, and no more
PACKAGES = pytest.mark.parametrize("package", [httpx2, httpx], ids=["httpx2", "httpx"])


class Heard:
    """A reader that writes down what it is told."""

    def __init__(self, *, wanted: bool = True) -> None:
        self.wanted = wanted
        self.ends: list[tuple[bytes, bool]] = []

    def wants(self, beginning: bytes) -> bool:  # noqa: ARG002
        return self.wanted

    def ended(self, parts: list[bytes], *, complete: bool) -> None:
        self.ends.append((b"".join(parts), complete))


def response(package: Any, heard: Heard, parts: Callable[[], Iterator[bytes]]) -> Any:
    class Stream(package.SyncByteStream):  # type: ignore[misc]
        elapsed = None
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            yield from parts()

        def close(self) -> None:
            self.closed += 1

    found = package.Response(200, stream=Stream(), request=package.Request("POST", "http://x"))
    found.stream = tee(found.stream, heard)
    return found


def two() -> Iterator[bytes]:
    yield b"one "
    yield b"two"


@PACKAGES
def test_what_goes_through_is_heard_once(package: Any) -> None:
    heard = Heard()
    found = response(package, heard, two)
    assert isinstance(found.stream, package.SyncByteStream)
    assert found.stream.closed == 0
    assert found.read() == b"one two"
    assert found.stream.closed == 1
    found.close()
    del found
    gc.collect()
    assert heard.ends == [(b"one two", True)]


@PACKAGES
def test_nothing_is_read_ahead(package: Any) -> None:
    given: list[int] = []

    def parts() -> Iterator[bytes]:
        for number in range(3):
            given.append(number)
            yield b"x"

    heard = Heard()
    found = response(package, heard, parts)
    assert given == []
    chunks = found.iter_raw()
    next(chunks)
    assert given == [0]
    chunks.close()
    found.close()
    assert (given, heard.ends, found.stream.closed) == ([0], [(b"x", False)], 1)


@PACKAGES
def test_a_stream_that_nobody_reads_or_closes(package: Any) -> None:
    closed, dropped = Heard(), Heard()
    response(package, closed, two).close()
    response(package, dropped, two)
    gc.collect()
    assert closed.ends == dropped.ends == [(b"", False)]


@PACKAGES
def test_errors_pass(package: Any) -> None:
    def broken() -> Iterator[bytes]:
        yield b"one "
        raise package.ReadError("gone")

    heard = Heard()
    with pytest.raises(package.ReadError, match="gone"):
        response(package, heard, broken).read()
    assert heard.ends == [(b"one ", False)]


def test_what_is_not_wanted_is_not_kept() -> None:
    heard = Heard(wanted=False)
    assert response(httpx2, heard, two).read() == b"one two"
    assert heard.ends == []


def test_what_is_open_at_the_end_of_the_process() -> None:
    heard = Heard()
    found = response(httpx2, heard, two)
    chunks = found.iter_raw()
    next(chunks)
    end_all()
    assert heard.ends == [(b"one ", False)]
    assert list(chunks) == [b"two"]
    found.close()
    end_all()
    assert len(heard.ends) == 1


def test_another_stream() -> None:
    with pytest.raises(TypeError, match="A list is no stream of httpx or httpx2"):
        tee([], Heard())


# -- through an SDK ---------------------------------------------------------------------------------------------------


def row(ledger: Ledger) -> tuple[object, ...]:
    gc.collect()
    (found,) = ledger.rows("ledger")
    return found["evidence"], found["prompt_tokens"], found["completion_tokens"]


def leave_with(client: Any) -> None:
    with client.messages.stream(**ASK) as stream:
        next(iter(stream))


def leave_loop(client: Any) -> None:
    for _ in client.messages.create(**ASK, stream=True):
        break


def consumer_fails(client: Any) -> None:
    def work() -> None:
        with client.messages.create(**ASK, stream=True) as stream:
            for _ in stream:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()


def close_it(client: Any) -> None:
    stream = client.messages.create(**ASK, stream=True)
    next(stream)
    stream.close()


def drop_it(client: Any) -> None:
    next(client.messages.create(**ASK, stream=True))


@pytest.mark.parametrize("leave", [leave_with, leave_loop, consumer_fails, close_it, drop_it])
def test_a_stream_that_is_left_early(ledger: Ledger, leave: Callable[[Any], None]) -> None:
    with Replay(BEGUN) as server, anthropic.Anthropic(base_url=server.url, **READY) as client:
        http.attach(client, ledger)
        leave(client)
        assert row(ledger) == ("partial", 1200, 1)


@pytest.mark.parametrize("way", ["close", "drop"])
def test_a_stream_that_is_never_read(ledger: Ledger, way: str) -> None:
    with Replay(BEGUN) as server, anthropic.Anthropic(base_url=server.url, **READY) as client:
        http.attach(client, ledger)
        stream = client.messages.create(**ASK, stream=True)
        if way == "close":
            stream.close()
        del stream
        assert row(ledger) == ("partial", None, None)
    assert ledger.rows("ledger")[0]["model"] == "claude-sonnet-5"


def test_counts_that_nobody_read_are_not_called_missing(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    with Replay(replace(Answer.sse(openai_stream(), done=True), hold=3)) as server:
        client = openai.OpenAI(base_url=server.url, **READY)
        http.attach(client, ledger)
        with client.chat.completions.create(model="gpt-4o", messages=ASK["messages"], stream=True) as stream:
            for chunk in stream:
                if chunk.choices[0].finish_reason:
                    break
        client.close()
    assert row(ledger) == ("partial", None, None)
    assert not caplog.records


async def acreate(client: Any) -> Any:
    return await client.messages.create(**ASK, stream=True)


async def aleave_with(client: Any) -> None:
    async with client.messages.stream(**ASK) as stream:
        await anext(aiter(stream))


async def aleave_loop(client: Any) -> None:
    async for _ in await acreate(client):
        break


async def aclose_it(client: Any) -> None:
    stream = await acreate(client)
    await anext(stream)
    await stream.close()


async def cancelled(client: Any) -> None:
    started = asyncio.Event()

    async def reading() -> None:
        async with await acreate(client) as stream:
            async for _ in stream:
                started.set()
                await asyncio.sleep(10)

    task = asyncio.create_task(reading())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("leave", [aleave_with, aleave_loop, aclose_it, cancelled])
def test_an_async_stream_that_is_left_early(ledger: Ledger, leave: Callable[[Any], Any]) -> None:
    async def run(url: str) -> None:
        async with anthropic.AsyncAnthropic(base_url=url, **READY) as client:
            http.attach(client, ledger)
            await leave(client)

    with Replay(BEGUN) as server:
        asyncio.run(run(server.url))
    assert row(ledger) == ("partial", 1200, 1)


def test_a_task_that_is_cancelled_while_it_waits_for_more(ledger: Ledger) -> None:
    async def run(url: str) -> None:
        async with anthropic.AsyncAnthropic(base_url=url, **READY) as client:
            http.attach(client, ledger)
            async with await acreate(client) as stream:
                await anext(stream)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(stream), 0.01)

    with Replay(BEGUN) as server:
        asyncio.run(run(server.url))
    assert row(ledger) == ("partial", 1200, 1)


@pytest.mark.parametrize("packed", [False, True])
def test_a_connection_that_breaks(ledger: Ledger, packed: bool) -> None:
    whole = Answer.sse(anthropic_stream())
    whole = whole.gzipped() if packed else whole
    part = Answer(whole.body[: len(whole.body) - 2], 200, whole.headers, cut=True)
    with Replay(part) as server, anthropic.Anthropic(base_url=server.url, **READY) as client:
        http.attach(client, ledger)
        with pytest.raises((anthropic.APIConnectionError, httpx2.RemoteProtocolError)):
            list(client.messages.create(**ASK, stream=True))
        assert row(ledger) == ("partial", 1200, 1) if not packed else row(ledger)[0] == "partial"


@pytest.mark.parametrize("done", [False, True])
def test_a_compressed_stream(ledger: Ledger, done: bool) -> None:
    answer = Answer.sse(openai_stream(), done=done).gzipped()
    with Replay(answer) as server, openai.OpenAI(base_url=server.url, **READY) as client:
        http.attach(client, ledger)
        assert len(list(client.chat.completions.create(model="m", messages=ASK["messages"], stream=True))) == 4
    assert row(ledger) == ("stream", 100, 20)


@PACKAGES
def test_the_response_is_the_same_as_without_us(ledger: Ledger, package: Any) -> None:
    def seen(attached: bool) -> tuple[object, ...]:
        with Replay(Answer.sse(anthropic_stream()).gzipped()) as server, package.Client() as client:
            if attached:
                http.attach(client, ledger)
            with client.stream("POST", f"{server.url}/v1/messages", json=ASK) as response:
                lines = list(response.iter_lines())
                assert response.elapsed.total_seconds() > 0
                return lines, response.num_bytes_downloaded, response.is_closed, response.is_stream_consumed

    assert seen(True) == seen(False)
    assert len(ledger.rows("ledger")) == 1


@PACKAGES
def test_an_async_stream_is_heard_once(package: Any) -> None:
    class Stream(package.AsyncByteStream):  # type: ignore[misc]
        closed = 0

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"one "
            yield b"two"

        async def aclose(self) -> None:
            self.closed += 1

    async def run() -> None:
        heard = Heard()
        found = package.Response(200, stream=tee(Stream(), heard), request=package.Request("POST", "http://x"))
        assert await found.aread() == b"one two"
        assert (heard.ends, found.stream.closed) == ([(b"one two", True)], 1)

    asyncio.run(run())
