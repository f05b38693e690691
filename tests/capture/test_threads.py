"""Threads and executors inherit the attribution, once asked to, and give it to nobody else."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agent_ledger import attribute
from agent_ledger.attribution import Attribution, current, current_run, last_request_id, note_request
from agent_ledger.capture.threads import propagate_everywhere

NOBODY = Attribution()
ORIGINALS = (threading.Thread.start, ThreadPoolExecutor.submit)
trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="none")


def patched() -> bool:
    found = (threading.Thread.start, ThreadPoolExecutor.submit)
    assert (found[0] is ORIGINALS[0]) == (found[1] is ORIGINALS[1])
    return found != ORIGINALS


@pytest.fixture
def undo() -> Iterator[Callable[[], None]]:
    undo = propagate_everywhere()
    yield undo
    undo()
    assert not patched()


def in_thread(make: Callable[[Callable[[], None]], threading.Thread]) -> Any:
    found: list[Any] = []
    thread = make(lambda: found.append((current(), trace.get())))
    before = {**vars(thread)}
    thread.start()
    thread.join()
    assert vars(thread).get("run") is before.get("run")
    assert "run" in before or "run" not in vars(thread)
    return found[0]


class Own(threading.Thread):
    def __init__(self, target: Callable[[], None]) -> None:
        super().__init__()
        self.work = target

    def run(self) -> None:
        self.work()


def with_a_run_of_its_own(target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread()
    thread.run = target  # type: ignore[method-assign]
    return thread


MAKERS = {
    "plain": lambda target: threading.Thread(target=target),
    "timer": lambda target: threading.Timer(0, target),
    "subclass": Own,
    "own run": with_a_run_of_its_own,
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.usefixtures("undo")
def test_a_thread_inherits_the_attribution_and_nothing_else(kind: str) -> None:
    trace.set("t")
    with attribute(agent_id="a", customer_id="acme"):
        assert in_thread(MAKERS[kind]) == (Attribution("a", "acme"), "none")
    trace.set("none")
    assert in_thread(MAKERS[kind]) == (NOBODY, "none")


@pytest.mark.usefixtures("undo")
def test_what_counts_is_where_a_thread_is_started() -> None:
    found: list[Attribution] = []
    with attribute(agent_id="maker"):
        thread = threading.Thread(target=lambda: found.append(current()))
    with attribute(agent_id="starter"):
        thread.start()
    thread.join()
    assert found == [Attribution("starter")]
    with attribute(agent_id="starter"), pytest.raises(RuntimeError, match="started once"):
        thread.start()


@pytest.mark.usefixtures("undo")
def test_a_thread_shares_the_run_of_its_agent() -> None:
    with attribute(agent_id="a"):
        thread = threading.Thread(target=lambda: note_request("req", current_run()))
        thread.start()
        thread.join()
        assert last_request_id() == "req"


@pytest.mark.usefixtures("undo")
def test_a_thread_is_forgotten_as_before() -> None:
    gc.disable()
    try:
        with attribute(agent_id="a"):
            thread: threading.Thread | None = threading.Thread(target=lambda: None)
            assert thread
            thread.start()
        thread.join()
        gone = weakref.ref(thread)
        thread = None
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.usefixtures("undo")
def test_the_jobs_of_a_pool_inherit_and_its_threads_do_not() -> None:
    started: list[Attribution] = []
    with ThreadPoolExecutor(1, initializer=lambda: started.append(current())) as pool:
        with attribute(agent_id="a"):
            assert pool.submit(current).result() == Attribution("a")
            assert list(pool.map(lambda _: current(), range(3))) == [Attribution("a")] * 3
        assert pool.submit(current).result() == NOBODY
        with attribute(agent_id="b"):
            assert pool.submit(current).result() == Attribution("b")
            assert pool.submit(lambda *args, **more: (args, more), 1, function=2).result() == ((1,), {"function": 2})
            with pytest.raises(ZeroDivisionError):
                pool.submit(lambda: 1 / 0).result()
        assert pool.submit(current).result() == NOBODY
    assert started == [NOBODY]


def test_a_pool_that_outlives_it_is_nobodys(undo: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool, attribute(agent_id="a"):
        assert pool.submit(current).result() == Attribution("a")
        undo()
        assert pool.submit(current).result() == NOBODY


@pytest.mark.usefixtures("undo")
def test_many_agents_share_a_pool() -> None:
    def work(barrier: threading.Barrier) -> str | None:
        barrier.wait()
        return current().agent_id

    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            barrier, jobs = threading.Barrier(4, timeout=10), []
            for name in "abcd":
                with attribute(agent_id=name):
                    jobs.append(pool.submit(work, barrier))
            assert [job.result() for job in jobs] == list("abcd")


@pytest.mark.usefixtures("undo")
def test_executors_of_an_event_loop_inherit() -> None:
    async def main() -> list[Attribution]:
        with attribute(agent_id="a"):
            loop = asyncio.get_running_loop()
            return [await loop.run_in_executor(None, current), await asyncio.to_thread(current)]

    assert asyncio.run(main()) == [Attribution("a")] * 2


@pytest.mark.usefixtures("undo")
def test_a_job_that_submits_a_job() -> None:
    def outer() -> Attribution:
        with attribute(feature="f"):
            return other.submit(current).result()

    with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as other:
        with attribute(agent_id="a"):
            assert pool.submit(outer).result() == Attribution("a", None, "f")
        assert other.submit(current).result() == NOBODY


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 0, 1), (1, 1, 0, 0, 1)])
def test_twice_and_undone_in_any_order(order: tuple[int, ...]) -> None:
    undo = [propagate_everywhere(), propagate_everywhere()]
    with attribute(agent_id="a"):
        for position, index in enumerate(order):
            assert patched() is (set(order[:position]) != {0, 1})
            assert in_thread(MAKERS["plain"])[0] == (Attribution("a") if patched() else NOBODY)
            undo[index]()
        assert not patched()
        assert in_thread(MAKERS["plain"])[0] == NOBODY
    again = propagate_everywhere()
    undo[0]()
    assert patched(), "an old undo does not undo a new one"
    again()
    assert not patched()


def test_somebody_elses_patch_on_top_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    undo = propagate_everywhere()
    (ours, our_submit), seen = (threading.Thread.start, ThreadPoolExecutor.submit), []

    def theirs(thread: threading.Thread) -> None:
        seen.append(thread)
        ours(thread)

    def their_submit(*args: Any, **kwargs: Any) -> Any:
        return our_submit(*args, **kwargs)

    try:
        monkeypatch.setattr(threading.Thread, "start", theirs)
        monkeypatch.setattr(ThreadPoolExecutor, "submit", their_submit)
        undo()
        assert (threading.Thread.start, ThreadPoolExecutor.submit) == (theirs, their_submit)
        with attribute(agent_id="a"):
            assert in_thread(MAKERS["plain"])[0] == NOBODY, "ours is there and does nothing"
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(current).result() == NOBODY
            seen.clear()
            again = propagate_everywhere()
            assert in_thread(MAKERS["plain"])[0] == Attribution("a")
            again()
        assert threading.Thread.start is theirs
        assert len(seen) == 1
    finally:
        monkeypatch.undo()
        threading.Thread.start, ThreadPoolExecutor.submit = ORIGINALS  # type: ignore[method-assign]


def test_the_names_stay() -> None:
    undo = propagate_everywhere()
    assert threading.Thread.start.__qualname__ == "Thread.start"
    assert ThreadPoolExecutor.submit.__qualname__ == "ThreadPoolExecutor.submit"
    undo()
