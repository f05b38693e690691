from __future__ import annotations

import asyncio
import functools
import inspect
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from agent_ledger import Ledger, attribute, propagate
from agent_ledger.attribution import current_run, note_request
from agent_ledger.capture.tool import report, tool
from agent_ledger.capture.tool_call import Execution, measure

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def rows(ledger: Ledger) -> Rows:
    """The columns asked for, of all rows in order."""
    return lambda *names: [tuple(row[name] for name in names) for row in ledger.rows("audit")]


def test_a_call_is_a_row(ledger: Ledger, rows: Rows) -> None:
    @ledger.tool(server="s3", resource_id="invoices", operation="get", units=1, unit="request", cost_usd=0.25)
    def get_object(bucket: str, key: str) -> bytes:
        return f"{bucket}/{key}".encode()

    with attribute(agent_id="a", request_id="req_1"):
        assert get_object("b", key="k") == b"b/k"
    assert rows(
        "tool", "server", "agent_id", "request_id", "resource_id", "operation", "units", "unit", "cost_usd"
    ) == [("get_object", "s3", "a", "req_1", "invoices", "get", 1.0, "request", 0.25)]
    assert rows("status", "error_type") == [("ok", None)]
    assert rows("arguments_bytes", "arguments_digest") == [measure({"bucket": "b", "key": "k"})]
    assert rows("result_bytes", "result_digest") == [measure(b"b/k")]


def test_it_may_be_given_the_function_at_once(ledger: Ledger, rows: Rows) -> None:
    @ledger.tool
    def one() -> None: ...

    tool(ledger, one, name="other")()
    assert rows("tool") == [("one",), ("other",)]


def test_what_depends_on_the_arguments_is_told_before_the_call(ledger: Ledger, rows: Rows) -> None:
    def many(bucket: str, keys: list[str]) -> int:
        return len(bucket) * len(keys)

    @ledger.tool(resource_id="{0}/{1}".format, operation=lambda *_: "list", units=many, cost_usd=many)
    def clear(bucket: str, keys: list[str]) -> str:
        keys.clear()
        return bucket

    clear("b", ["x", "y"])
    assert rows("resource_id", "operation", "units", "cost_usd") == [("b/['x', 'y']", "list", 2, 2)]
    assert rows("arguments_digest") == [(measure({"bucket": "b", "keys": ["x", "y"]})[1],)]


def test_what_can_not_be_told_is_left_out(ledger: Ledger, rows: Rows, caplog: pytest.LogCaptureFixture) -> None:
    @ledger.tool(resource_id=lambda: "takes no arguments", units=lambda x: "many", cost_usd=lambda x: None)  # noqa: ARG005
    def double(x: int) -> int:
        return 2 * x

    assert double(2) == 4
    assert rows("resource_id", "units", "cost_usd", "status") == [(None, None, None, "ok")]
    assert "resource_id" in caplog.text


def test_what_is_known_afterwards_is_reported(ledger: Ledger, rows: Rows) -> None:
    @ledger.tool(resource_id="declared", unit="page")
    def scan() -> None:
        report(resource_id="found", units=7, cost_usd=0.01, operation="scan")

    scan()
    assert rows("resource_id", "operation", "units", "unit", "cost_usd") == [("found", "scan", 7, "page", 0.01)]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), StopIteration(1), SystemExit(2)])
def test_an_exception_passes_and_is_named(ledger: Ledger, rows: Rows, error: BaseException) -> None:
    @ledger.tool
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        fail()
    assert raised.value is error
    assert rows("status", "error_type", "result_bytes") == [("error", type(error).__name__, None)]


def test_arguments_that_do_not_fit(ledger: Ledger, rows: Rows) -> None:
    @ledger.tool(resource_id=lambda x: x)
    def one(x: int) -> int:
        return x

    with pytest.raises(TypeError, match="unexpected keyword argument 'y'"):
        one(y=5)
    assert rows("status", "error_type", "arguments_digest") == [("error", "invalid_params", measure({"y": 5})[1])]


def test_a_coroutine(ledger: Ledger, rows: Rows) -> None:
    @ledger.tool
    async def wait(ms: int) -> int:
        await asyncio.sleep(ms / 1000)
        report(units=ms)
        return ms

    async def both() -> list[int]:
        return await asyncio.gather(wait(30), wait(1))

    assert inspect.iscoroutinefunction(wait)
    assert asyncio.run(both()) == [30, 1]
    assert rows("units") == [(1,), (30,)]
    assert rows("duration_ms")[1][0] >= 29


def test_a_cancelled_coroutine(ledger: Ledger, rows: Rows) -> None:
    @ledger.tool
    async def forever() -> None:
        await asyncio.sleep(60)

    async def cancelled() -> None:
        task = asyncio.create_task(forever())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(forever(), 0.001)

    asyncio.run(cancelled())
    assert rows("status", "error_type") == [("error", "CancelledError")] * 2


def counting(log: list[str]) -> Callable[[int], Iterator[int]]:
    def count(n: int) -> Iterator[int]:
        try:
            for number in range(n):
                report(units=number + 1)
                try:
                    log.append(str((yield number)))
                except LookupError:
                    log.append("thrown in")
        finally:
            log.append("closed")
        return "done"

    return count


def test_a_generator_is_one_call_until_it_is_exhausted(ledger: Ledger, rows: Rows) -> None:
    log: list[str] = []
    count = ledger.tool(counting(log))
    assert inspect.isgeneratorfunction(count)
    steps = count(3)
    assert rows("tool") == []
    assert (next(steps), steps.send("x"), steps.throw(LookupError())) == (0, 1, 2)
    report(units=99)  # between the steps nobody's
    time.sleep(0.01)
    with pytest.raises(StopIteration) as stop:
        next(steps)
    assert stop.value.value == "done"
    assert log == ["x", "thrown in", "None", "closed"]
    assert rows("tool", "status", "units", "result_bytes") == [("count", "ok", 3, None)]
    assert rows("duration_ms")[0][0] >= 10


def test_a_generator_that_is_closed_did_its_work(ledger: Ledger, rows: Rows) -> None:
    log: list[str] = []
    for _ in ledger.tool(counting(log))(5):
        break
    steps = ledger.tool(counting(log))(5)
    next(steps)
    steps.close()
    ledger.tool(counting(log))(5)  # never begun
    assert rows("status", "units") == [("ok", 1)] * 2
    assert log == ["closed"] * 2


def test_a_generator_that_fails(ledger: Ledger, rows: Rows) -> None:
    steps = ledger.tool(counting([]))(2)
    next(steps)
    with pytest.raises(ZeroDivisionError):
        steps.throw(ZeroDivisionError())
    assert rows("status", "error_type") == [("error", "ZeroDivisionError")]


def test_an_async_generator(ledger: Ledger, rows: Rows) -> None:
    log: list[str] = []

    @ledger.tool
    async def count(n: int) -> AsyncIterator[int]:
        try:
            for number in range(n):
                report(units=number + 1)
                try:
                    log.append(str((yield number)))
                except LookupError:
                    log.append("thrown in")
        finally:
            log.append("closed")

    async def run() -> None:
        steps = count(3)
        assert [await anext(steps), await steps.asend("x"), await steps.athrow(LookupError())] == [0, 1, 2]
        assert [item async for item in steps] == []
        early = count(3)
        assert await anext(early) == 0
        await early.aclose()
        failing = count(3)
        await anext(failing)
        with pytest.raises(ZeroDivisionError):
            await failing.athrow(ZeroDivisionError())

    assert inspect.isasyncgenfunction(count)
    asyncio.run(run())
    assert log == ["x", "thrown in", "None", "closed", "closed", "closed"]
    assert rows("status", "error_type", "units") == [
        ("ok", None, 3), ("ok", None, 1), ("error", "ZeroDivisionError", 1),
    ]  # fmt: skip


def test_methods_do_not_count_the_object_as_an_argument(ledger: Ledger, rows: Rows) -> None:
    class Bucket:
        name = "b"

        @ledger.tool(resource_id=lambda self, key: f"{self.name}/{key}")
        def get(self, key: str) -> str:
            return self.name + key

        @ledger.tool
        @classmethod
        def make(cls, key: str) -> str:
            return cls.name + key

        @staticmethod
        @ledger.tool
        def plain(key: str) -> str:
            return key

        @ledger.tool
        @staticmethod
        def other(key: str) -> str:
            return key

    bucket = Bucket()
    assert [bucket.get("k"), Bucket.make("k"), bucket.plain("k"), Bucket.other("k")] == ["bk", "bk", "k", "k"]
    assert rows("tool", "resource_id", "arguments_digest") == [
        (name, "b/k" if name == "get" else None, measure({"key": "k"})[1]) for name in ("get", "make", "plain", "other")
    ]


def test_what_has_no_name_or_signature(ledger: Ledger, rows: Rows) -> None:
    class Adder:
        def __call__(self, x: int) -> int:
            return x + 1

    assert ledger.tool(Adder())(1) == 2
    assert ledger.tool(functools.partial(pow, 2))(3) == 8
    assert ledger.tool(max)(1, 2) == 2
    assert [name for (name,) in rows("tool")] == ["Adder", "partial", "max"]
    assert rows("arguments_digest")[2] == (None,)


def test_frameworks_see_the_function_as_it_is(ledger: Ledger) -> None:
    def search(query: str, limit: int = 10) -> list[str]:
        """Search."""
        return [query] * limit

    wrapped = ledger.tool(server="web")(search)
    assert inspect.signature(wrapped) == inspect.signature(search)
    assert get_type_hints(wrapped) == get_type_hints(search)
    assert (wrapped.__name__, wrapped.__doc__, wrapped.__module__) == ("search", "Search.", __name__)


def test_arguments_without_a_stable_form_have_no_digest(ledger: Ledger, rows: Rows) -> None:
    ledger.tool(lambda thing: thing, name="same")(object())
    assert rows("tool", "arguments_digest", "arguments_bytes", "result_digest") == [("same", None, None, None)]


def test_the_request_is_the_last_llm_call_of_the_agent(ledger: Ledger, rows: Rows) -> None:
    @ledger.tool
    def work() -> None: ...

    work()
    with attribute(agent_id="a"):
        note_request("req_1", current_run())
        work()
        thread = threading.Thread(target=propagate(work))
        thread.start()
        thread.join()
        note_request("req_2", current_run())
        work()
    assert rows("request_id", "agent_id") == [(None, None), ("req_1", "a"), ("req_1", "a"), ("req_2", "a")]


def test_a_tool_that_calls_a_tool_is_two_rows(ledger: Ledger, rows: Rows) -> None:
    @ledger.tool
    def inner() -> None:
        report(units=1)

    @ledger.tool
    def outer() -> None:
        inner()
        report(units=2)

    outer()
    assert rows("tool", "units") == [("inner", 1), ("outer", 2)]


def test_under_an_mcp_server_that_is_recorded_it_adds_to_that_row(ledger: Ledger, rows: Rows) -> None:
    @ledger.tool(resource_id=lambda bucket: bucket)
    def get(bucket: str) -> str:
        report(units=3)
        return bucket

    request = Execution(ledger, tool="get", request=object())
    other = Execution(ledger, tool="other", request=object())
    with request:
        get("b")
    request.returned()
    with other:
        get("c")  # another tool of that server uses it
    assert rows("tool", "resource_id", "units") == [("get", "b", 3), ("get", "c", 3)]


class Broken:
    def stamp_call(self, **_: Any) -> None:
        raise OSError("full")

    stamp_tool_call = stamp_call

    def unfinished_call(self, _: str) -> None:
        return None


def test_a_ledger_that_fails_is_no_trouble_of_the_tool() -> None:
    assert tool(Broken(), lambda x: x + 1)(1) == 2
    assert list(tool(Broken(), counting([]))(2)) == [0, 1]


def test_contents_are_never_stored(ledger: Ledger, tmp_path: Path) -> None:
    @ledger.tool
    def leak(password: str) -> dict[str, str]:
        if password.endswith("!"):
            raise ValueError(password)
        return {"answer": password}

    leak("swordfish-4711")
    with pytest.raises(ValueError, match="swordfish"):
        leak("swordfish-4711!")
    assert len(ledger.rows("audit")) == 2
    assert not [path for path in tmp_path.iterdir() if b"swordfish" in path.read_bytes()]
