"""Many agents at once, with the real SDKs: every answer is recorded once, and for who asked."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from replay import Answer, Replay, Request, anthropic_message, anthropic_stream, openai_completion, openai_stream
from support import empty_file, exit_code, query, start_child

from agent_ledger import Ledger, attribute, spool

pytestmark = [
    pytest.mark.usefixtures("no_sources"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
READY: Any = {"api_key": "x", "max_retries": 0, "timeout": 30}


def answer(request: Request) -> Answer:
    """The answer to question number n has n in its id, its request id and its counts."""
    number = int(request.json["messages"][0]["content"])
    streamed = request.json.get("stream")
    if request.path.endswith("/messages"):
        given: Any = {"id": f"msg_{number}", "input_tokens": 1000 + number, "output_tokens": number}
        found = Answer.sse(anthropic_stream(**given)) if streamed else Answer.json(anthropic_message(**given))
    else:
        given = {"id": f"chatcmpl-{number}", "prompt_tokens": 1000 + number, "completion_tokens": number}
        found = Answer.sse(openai_stream(**given), done=True) if streamed else Answer.json(openai_completion(**given))
    names = {"request-id": f"req_{number}", "x-request-id": f"req_{number}"}
    return replace(found, headers={**found.headers, **names})


def is_anthropic(number: int) -> bool:
    return number % 2 == 0


def question(number: int, *, stream: bool) -> Any:
    messages = [{"role": "user", "content": str(number)}]
    if is_anthropic(number):
        return {"model": "claude-sonnet-5", "max_tokens": 9, "messages": messages, "stream": stream}
    options = {"stream_options": {"include_usage": True}} if stream else {}
    return {"model": "gpt-4o", "messages": messages, "stream": stream, **options}


def recorded(path: Path) -> tuple[list[Any], list[Any]]:
    """The calls and the tool calls, all columns that tell whose they are."""
    with Ledger(path):  # what had to wait comes in
        assert spool.files(path) == []
    return (
        sorted(query(path, "select agent_id, customer_id, feature, request_id, response_id, prompt_tokens,"
                           " completion_tokens, evidence from ledger"), key=str),
        sorted(query(path, "select agent_id, request_id, resource_id, tool, status from audit"), key=str),
    )  # fmt: skip


def calls(numbers: Iterable[int], streamed: Callable[[int], bool]) -> list[Any]:
    """What is recorded when each agent asks its own question."""
    return sorted([
        (f"agent-{n}", f"customer-{n}", "search", f"req_{n}", f"msg_{n}" if is_anthropic(n) else f"chatcmpl-{n}",
         1000 + n, n, "stream" if streamed(n) else "response")
        for n in numbers
    ], key=str)  # fmt: skip


def tool_calls(numbers: Iterable[int], *tools: str) -> list[Any]:
    rows = [(f"agent-{n}", f"req_{n}", f"object-{n}", tool, "ok") for n in numbers for tool in tools]
    return sorted(rows, key=str)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    path.write_bytes(empty_file())
    return path


def test_two_hundred_streams_at_once(path: Path) -> None:
    numbers = range(200)
    all_asked = threading.Barrier(len(numbers), timeout=30)

    def answer_all_at_once(request: Request) -> Answer:
        all_asked.wait()
        return answer(request)

    async def agents(url: str, ledger: Ledger) -> None:
        @ledger.tool(resource_id=lambda number: f"object-{number}")
        async def fetch(number: int) -> None:  # noqa: ARG001
            await asyncio.sleep(0.001)

        @ledger.tool(resource_id=lambda number: f"object-{number}")
        def load(number: int) -> None:
            pass

        async def agent(number: int) -> None:
            create = claude.messages.create if is_anthropic(number) else gpt.chat.completions.create
            with attribute(customer_id=f"customer-{number}", feature="search"), attribute(agent_id=f"agent-{number}"):
                stream = await create(**question(number, stream=True))
                await asyncio.to_thread(load, number)
                events = aiter(stream)
                await anext(events)
                await fetch(number)  # in the middle of the answer
                async for _ in events:
                    pass
                await asyncio.create_task(fetch(number))

        async with (
            anthropic.AsyncAnthropic(base_url=url, **READY) as claude,
            openai.AsyncOpenAI(base_url=f"{url}/v1", **READY) as gpt,
        ):
            ledger.instrument(claude)
            ledger.instrument(gpt)
            await asyncio.gather(*(agent(number) for number in numbers))

    with Replay(answer_all_at_once) as server, Ledger(path) as ledger:
        asyncio.run(agents(server.url, ledger))
    assert recorded(path) == (calls(numbers, lambda _: True), tool_calls(numbers, "load", "fetch", "fetch"))


def work(claude: Any, gpt: Any, load: Callable[[int], None], numbers: Iterable[int]) -> None:
    """One thread: its calls one after the other, each for another agent, every second pair of them streamed."""
    for number in numbers:
        create = claude.messages.create if is_anthropic(number) else gpt.chat.completions.create
        with attribute(customer_id=f"customer-{number}", feature="search"), attribute(agent_id=f"agent-{number}"):
            found = create(**question(number, stream=is_streamed(number)))
            load(number)
            if is_streamed(number):
                for _ in found:
                    pass
            load(number)


def is_streamed(number: int) -> bool:
    return number % 4 < 2


def threads(path: Path, numbers: range, count: int) -> None:
    """`count` threads share two clients, one ledger and the questions."""
    errors: list[BaseException] = []
    with (
        Replay(answer) as server,
        Ledger(path) as ledger,
        anthropic.Anthropic(base_url=server.url, **READY) as claude,
        openai.OpenAI(base_url=f"{server.url}/v1", **READY) as gpt,
    ):
        ledger.instrument(claude)
        ledger.instrument(gpt)

        @ledger.tool(resource_id=lambda number: f"object-{number}")
        def load(number: int) -> None:
            pass

        def run(some: range) -> None:
            try:
                work(claude, gpt, load, some)
            except BaseException as error:
                errors.append(error)

        size = len(numbers) // count
        running = [
            threading.Thread(target=run, args=(numbers[start : start + size],))
            for start in range(0, len(numbers), size)
        ]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    assert errors == []


def test_eight_threads(path: Path) -> None:
    numbers = range(160)
    threads(path, numbers, 8)
    assert recorded(path) == (calls(numbers, is_streamed), tool_calls(numbers, "load", "load"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_four_processes(path: Path) -> None:
    numbers = range(160)
    children = [start_child(lambda start=start: threads(path, numbers[start : start + 40], 2))
                for start in range(0, 160, 40)]  # fmt: skip
    assert [exit_code(child) for child in children] == [0] * 4
    assert recorded(path) == (calls(numbers, is_streamed), tool_calls(numbers, "load", "load"))
