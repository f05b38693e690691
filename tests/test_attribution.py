"""Attribution reaches every place that an agent's work reaches, and no other."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_ledger import InvalidRecord, attribute, propagate
from agent_ledger.attribution import (
    Attribution,
    current,
    current_run,
    detached,
    inherited,
    last_request_id,
    note_request,
)

NOBODY = Attribution()
trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="none")


def agent() -> str | None:
    return current().agent_id


def answer(request_id: str) -> None:
    """An LLM call, from its request to its answer."""
    run = current_run()
    if run:
        run.begin()
    note_request(request_id, run)
    if run:
        run.end()


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    assert current() == NOBODY
    yield
    assert current() == NOBODY
    assert current_run() is None


def in_own_context(function: Callable[..., Any], *args: Any) -> Any:
    return contextvars.copy_context().run(function, *args)


# -- nesting ----------------------------------------------------------------------------------------------------------


def test_what_is_not_given_stays_as_it_is_outside() -> None:
    with attribute(agent_id="a", customer_id="acme", feature="f", session_id="s", request_id="r"):
        with attribute(agent_id="b", feature=None):
            assert current() == Attribution("b", "acme", None, "s", "r")
            with attribute():
                assert current() == Attribution("b", "acme", None, "s", "r")
        assert current() == Attribution("a", "acme", "f", "s", "r")


def test_an_error_leaves_the_block_as_its_end_does() -> None:
    with attribute(agent_id="a"):
        with pytest.raises(ZeroDivisionError), attribute(agent_id="b"):
            _ = 1 / 0
        assert agent() == "a"


def test_one_object_serves_again_and_inside_of_itself() -> None:
    block = attribute(agent_id="a")
    for _ in range(2):
        with block as entered:
            assert entered is block
            with attribute(agent_id="b"), block:
                assert agent() == "a"
            assert agent() == "a"
        assert current() == NOBODY


@pytest.mark.parametrize("field", ["agent_id", "customer_id", "feature", "session_id", "request_id"])
@pytest.mark.parametrize("value", ["", "  ", 7, b"a", "a\0b", "\ud800"])
def test_what_is_no_text_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(InvalidRecord, match=f"^{field} is ") as refused:
        attribute(**{field: value})
    assert refused.value.field == field


@given(st.recursive(st.just([]), lambda inner: st.lists(st.tuples(st.sampled_from("abc"), inner), max_size=3)))
def test_any_nesting_is_the_innermost_and_comes_back(blocks: list[Any]) -> None:
    def walk(blocks: list[Any]) -> None:
        outside = current()
        for name, inner in blocks:
            with attribute(agent_id=name):
                assert agent() == name
                walk(inner)
                assert agent() == name
            assert current() == outside

    walk(blocks)


# -- as a decorator ---------------------------------------------------------------------------------------------------


def function(wanted: int, *, word: str = "x") -> tuple[str | None, int, str]:
    """What it does."""
    return agent(), wanted, word


async def coroutine(wanted: int, *, word: str = "x") -> tuple[str | None, int, str]:
    """What it does."""
    await asyncio.sleep(0)
    return agent(), wanted, word


def generator(wanted: int, *, word: str = "x") -> Iterator[tuple[str | None, int, str]]:
    """What it does."""
    for _ in range(2):
        yield agent(), wanted, word


async def async_generator(wanted: int, *, word: str = "x") -> AsyncIterator[tuple[str | None, int, str]]:
    """What it does."""
    for _ in range(2):
        await asyncio.sleep(0)
        yield agent(), wanted, word


KINDS: list[Callable[..., Any]] = [function, coroutine, generator, async_generator]


def all_of(result: Any) -> list[Any]:
    """What a call of any kind of function gives, with what its caller sees meanwhile."""

    async def waited() -> list[Any]:
        if inspect.isawaitable(result):
            return [await result, current()]
        return [(item, current()) async for item in result]

    if inspect.isawaitable(result) or inspect.isasyncgen(result):
        return asyncio.run(waited())
    return [(item, current()) for item in result] if inspect.isgenerator(result) else [result, current()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_decorated_function_runs_inside_and_its_caller_does_not(kind: Callable[..., Any]) -> None:
    decorated = attribute(agent_id="a")(kind)
    seen = ("a", 1, "y")
    single = [seen, NOBODY]
    assert all_of(decorated(1, word="y")) == (single if kind in (function, coroutine) else [(seen, NOBODY)] * 2)


@pytest.mark.parametrize("wrap", [attribute(agent_id="a"), propagate])
@pytest.mark.parametrize("kind", KINDS)
def test_a_decorated_function_is_of_the_same_kind(kind: Callable[..., Any], wrap: Any) -> None:
    decorated = wrap(kind)
    for question in (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        inspect.signature,
    ):
        assert question(decorated) == question(kind)
    assert decorated.__wrapped__ is kind
    assert (decorated.__name__, decorated.__doc__) == (kind.__name__, "What it does.")


def test_methods_of_every_kind() -> None:
    class Agent:
        @attribute(agent_id="plain")
        def plain(self) -> tuple[Any, str | None]:
            return self, agent()

        @attribute(agent_id="async")
        async def waiting(self) -> tuple[Any, str | None]:
            await asyncio.sleep(0)
            return self, agent()

        @attribute(agent_id="class")
        @classmethod
        def of_class(cls) -> tuple[Any, str | None]:
            return cls, agent()

        @classmethod
        @attribute(agent_id="class")
        def of_class_too(cls) -> tuple[Any, str | None]:
            return cls, agent()

        @attribute(agent_id="static")
        @staticmethod
        async def static() -> str | None:
            return agent()

    one = Agent()
    assert one.plain() == (one, "plain")
    assert asyncio.run(one.waiting()) == (one, "async")
    assert Agent.of_class() == one.of_class_too() == (Agent, "class")
    assert asyncio.run(one.static()) == asyncio.run(Agent.static()) == "static"


def test_a_class_can_not_be_decorated() -> None:
    with pytest.raises(TypeError, match="attribute can't decorate the class Attribution: decorate its methods"):
        attribute(agent_id="a")(Attribution)


@pytest.mark.parametrize("kind", KINDS)
def test_partials_and_the_one_decorator_over_the_other(kind: Callable[..., Any]) -> None:
    expected = all_of(attribute(agent_id="b")(kind)(1))
    assert all_of(attribute(agent_id="b")(partial(kind, 1))()) == expected
    assert all_of(attribute(agent_id="a")(attribute(agent_id="b")(kind))(1)) == expected


def test_a_function_that_hides_its_coroutine() -> None:
    def hidden(wanted: int) -> Any:
        return coroutine(wanted)

    decorated = attribute(agent_id="a")(hidden)
    assert asyncio.run(decorated(1)) == ("a", 1, "x")
    with attribute(agent_id="b"):
        carried = propagate(hidden)
    assert asyncio.run(carried(1)) == ("b", 1, "x")


def test_a_function_inherits_where_it_is_called() -> None:
    decorated = attribute(feature="f")(current)
    with attribute(agent_id="a"):
        assert decorated() == Attribution("a", None, "f")
    assert decorated() == Attribution(None, None, "f")


@pytest.mark.parametrize("kind", [function, coroutine])
def test_errors_pass_and_end_the_block(kind: Callable[..., Any]) -> None:
    decorated = attribute(agent_id="a")(kind)
    with attribute(agent_id="b"):
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            all_of(decorated(1, wrong=2))
        assert agent() == "b"


# -- generators -------------------------------------------------------------------------------------------------------


@attribute(agent_id="g")
def echo(log: list[Any]) -> Any:
    """Yields what it is sent, logs what is thrown, returns at 'end'."""
    got: Any = "start"
    try:
        while got != "end":
            try:
                got = yield got, agent()
            except KeyError as error:
                log.append((error.args[0], agent()))
                got = "caught"
    finally:
        log.append(("over", agent()))
    return "returned"


def test_a_generator_gets_what_is_sent_and_thrown() -> None:
    log: list[Any] = []

    def delegating() -> Iterator[Any]:
        log.append((yield from echo(log)))

    steps: Any = delegating()
    with attribute(agent_id="consumer"):
        assert next(steps) == ("start", "g")
        assert steps.send("sent") == ("sent", "g")
        assert steps.throw(KeyError("thrown")) == ("caught", "g")
        assert agent() == "consumer"
        with pytest.raises(StopIteration):
            steps.send("end")
        assert agent() == "consumer"
    assert log == [("thrown", "g"), ("over", "g"), "returned"]


def test_a_generator_that_is_left_or_forgotten_cleans_up_inside() -> None:
    log: list[Any] = []
    with attribute(agent_id="consumer"):
        steps: Any = echo(log)
        next(steps)
        steps.close()
        assert agent() == "consumer"
        with pytest.raises(ZeroDivisionError):
            sum(1 / 0 for _ in echo(log))
        steps = echo(log)
        next(steps)
        in_own_context(steps.close)
        steps = echo(log)
        next(steps)
        with attribute(agent_id="another"):
            del steps
            gc.collect()
            assert agent() == "another"
        assert agent() == "consumer"
    assert log == [("over", "g")] * 4
    echo(log).close()  # never begun
    assert log == [("over", "g")] * 4


def test_an_error_that_was_thrown_in_is_not_held() -> None:
    log: list[Any] = []
    steps: Any = echo(log)
    next(steps)
    error = KeyError("thrown")
    steps.throw(error)
    assert gc.get_referrers(error) in ([], [inspect.currentframe()])


def test_the_steps_of_a_generator_in_two_contexts_are_all_inside() -> None:
    steps: Any = echo([])
    one, other = contextvars.copy_context(), contextvars.copy_context()
    for number in range(6):
        context = (one, other)[number % 2]
        assert context.run(next, steps)[1] == "g"
        assert context.run(current) == NOBODY
    steps.close()


def test_a_block_inside_a_decorated_generator_is_not_seen_outside() -> None:
    @attribute(agent_id="g")
    def stepwise() -> Iterator[str | None]:
        yield agent()
        with attribute(agent_id="inner"):
            yield agent()
            yield agent()
        yield agent()

    seen = [(inside, agent()) for inside in stepwise()]
    assert seen == [("g", None), ("inner", None), ("inner", None), ("g", None)]


def test_a_plain_generator_ends_its_block_and_no_other() -> None:
    def plain() -> Iterator[None]:
        with attribute(agent_id="g", customer_id="acme"):
            yield

    steps: Any = plain()
    next(steps)
    with attribute(agent_id="consumer"):
        steps.close()  # out of order
        assert agent() == "consumer"
    assert current() == NOBODY
    steps = plain()
    in_own_context(next, steps)
    with attribute(agent_id="consumer"):
        steps.close()  # in a context where it was never opened
        assert agent() == "consumer"


def test_a_context_manager_of_a_decorated_generator() -> None:
    @contextmanager
    @attribute(agent_id="g")
    def managed() -> Iterator[str | None]:
        try:
            yield agent()
        except KeyError:
            assert agent() == "g"

    with managed() as inside:
        assert (inside, agent()) == ("g", None)
        raise KeyError


def test_an_async_generator_gets_what_is_sent_and_thrown_and_cleans_up_inside() -> None:
    log: list[Any] = []

    @attribute(agent_id="g")
    async def echoing() -> Any:
        got: Any = "start"
        try:
            while got != "end":
                await asyncio.sleep(0)
                try:
                    got = yield got, agent()
                except KeyError as error:
                    await asyncio.sleep(0)
                    log.append((error.args[0], agent()))
                    got = "caught"
        finally:
            await asyncio.sleep(0)
            log.append(("over", agent()))

    @asynccontextmanager
    @attribute(agent_id="m")
    async def managed() -> Any:
        yield agent()

    async def leave_with_an_error(steps: Any) -> None:
        async with aclosing(steps):
            async for _ in steps:
                _ = 1 / 0

    async def main() -> None:
        with attribute(agent_id="consumer"):
            steps = echoing()
            assert await anext(steps) == ("start", "g")
            assert await steps.asend("sent") == ("sent", "g")
            assert await steps.athrow(KeyError("thrown")) == ("caught", "g")
            assert agent() == "consumer"
            with pytest.raises(StopAsyncIteration):
                await steps.asend("end")
            async with aclosing(echoing()) as steps:
                async for _ in steps:
                    break
            with pytest.raises(ZeroDivisionError):
                await leave_with_an_error(echoing())
            async for _ in echoing():  # forgotten: the loop closes it in a task of its own
                break
            async with managed() as inside:
                assert (inside, agent()) == ("m", "consumer")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert agent() == "consumer"

    asyncio.run(main())
    assert log == [("thrown", "g"), *[("over", "g")] * 4]


def test_a_cancelled_coroutine_cleans_up_inside() -> None:
    log: list[Any] = []

    @attribute(agent_id="a")
    async def waiting() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            log.append(agent())

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await waiting()
        assert agent() is None
        task = asyncio.create_task(waiting())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert log == ["a", "a"]


# -- tasks and threads ------------------------------------------------------------------------------------------------


def test_tasks_and_to_thread_inherit_by_themselves() -> None:
    async def main() -> None:
        with attribute(agent_id="a"):
            assert await asyncio.gather(*map(coroutine, (1, 2))) == [("a", 1, "x"), ("a", 2, "x")]
            assert await asyncio.wait_for(coroutine(1), 5) == ("a", 1, "x")
            assert await asyncio.to_thread(agent) == "a"
            async with asyncio.TaskGroup() as group:
                grouped = group.create_task(coroutine(3))
            task = asyncio.create_task(coroutine(4))  # goes on after the block
        assert grouped.result() == ("a", 3, "x")
        assert await task == ("a", 4, "x")
        assert await asyncio.get_running_loop().run_in_executor(None, agent) is None

    asyncio.run(main())


def test_one_object_is_entered_by_many_threads_and_tasks_at_once() -> None:
    block = attribute(feature="f")

    def in_thread(name: str) -> Attribution:
        with attribute(agent_id=name):
            barrier.wait()
            with block:
                barrier.wait()
                found = current()
            barrier.wait()
            assert current() == Attribution(name)
        return found

    async def in_task(name: str) -> Attribution:
        with attribute(agent_id=name):
            await asyncio.sleep(0)
            with block:
                await asyncio.sleep(0)
                return current()

    async def main() -> list[Attribution]:
        return await asyncio.gather(*(in_task(name) for name in "abcd"))

    barrier = threading.Barrier(4, timeout=10)
    expected = [Attribution(name, None, "f") for name in "abcd"]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(in_thread, "abcd")) == expected
    assert asyncio.run(main()) == expected


def test_propagate_carries_the_whole_context_into_threads_and_executors() -> None:
    def seen(number: int = 0) -> tuple[str | None, str, int]:
        return agent(), trace.get(), number

    def thread_target() -> None:
        found.append(seen())

    async def in_executor() -> Any:
        loop = asyncio.get_running_loop()
        with attribute(agent_id="loop"):
            return await loop.run_in_executor(None, propagate(seen), 4), await loop.run_in_executor(pool, seen, 5)

    found: list[Any] = []
    with ThreadPoolExecutor(2) as pool:
        trace.set("t")
        with attribute(agent_id="a"):
            assert pool.submit(propagate(seen), 1).result() == ("a", "t", 1)
            assert list(pool.map(propagate(seen), [2, 3])) == [("a", "t", 2), ("a", "t", 3)]
            thread = threading.Thread(target=propagate(thread_target))
        assert asyncio.run(in_executor()) == (("loop", "t", 4), (None, "none", 5))
        assert pool.submit(seen).result() == (None, "none", 0)
    thread.start()  # what counts is where it was wrapped
    thread.join()
    trace.set("none")
    assert found == [("a", "t", 0)]


def test_propagate_of_what_waits_runs_in_the_loop_of_another_thread() -> None:
    async def waiting() -> tuple[str | None, str]:
        await asyncio.sleep(0)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            found = group.create_task(nested())
        trace.set("changed")
        await asyncio.sleep(0)
        assert trace.get() == "changed"
        return found.result()

    async def nested() -> tuple[str | None, str]:
        return agent(), trace.get()

    async def stepwise() -> AsyncIterator[tuple[str | None, str]]:
        for _ in range(2):
            await asyncio.sleep(0)
            yield agent(), trace.get()

    async def main(inside: Any, steps: Any) -> Any:
        first = await inside()
        assert (agent(), trace.get()) == (None, "none")
        return [first, await inside(), *[step async for step in steps()]]

    def run() -> None:
        with attribute(agent_id="a"), ThreadPoolExecutor(1) as pool:
            trace.set("t")
            job = pool.submit(asyncio.run, main(propagate(waiting), propagate(stepwise)))
            assert job.result() == [("a", "t")] * 4

    in_own_context(run)


def test_one_propagated_function_runs_in_several_threads_at_once() -> None:
    def meeting(number: int) -> tuple[str | None, str]:
        barrier.wait()
        trace.set(str(number))
        with attribute(customer_id=str(number)):
            barrier.wait()
            assert current() == Attribution("a", str(number))
        barrier.wait()
        return agent(), trace.get()

    barrier = threading.Barrier(4, timeout=10)
    with attribute(agent_id="a"):
        carried = propagate(meeting)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(carried, range(4))) == [("a", str(number)) for number in range(4)]


def test_where_nobody_is_said_there_is_nothing_to_inherit() -> None:
    assert inherited(current) is current
    with attribute(agent_id="a"):
        carried = inherited(current)
        assert detached(current)() == NOBODY
    assert carried() == Attribution("a")


def test_nested_pools() -> None:
    def outer(pool: ThreadPoolExecutor) -> Any:
        with attribute(feature="f"):
            return pool.submit(propagate(current)).result()

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        with attribute(agent_id="a"):
            assert one.submit(propagate(outer), other).result() == Attribution("a", None, "f")
        assert one.submit(current).result() == other.submit(current).result() == NOBODY


# -- the call that a tool call belongs to -----------------------------------------------------------------------------


def test_the_last_call_of_this_context() -> None:
    def work() -> None:
        assert last_request_id() is None
        answer("1")
        assert last_request_id() == "1"  # also where nobody is said
        with attribute(agent_id="a"):
            assert last_request_id() is None
            for number in range(200):
                answer(f"a{number}")
                assert last_request_id() == f"a{number}"
        assert last_request_id() == "1"

    contextvars.Context().run(work)


def test_a_feature_is_a_step_of_a_run_and_another_customer_session_or_request_is_another_run() -> None:
    with attribute(agent_id="a"):
        answer("1")
        with attribute(feature="f"):
            assert last_request_id() == "1"
            answer("2")
        assert last_request_id() == "2"
        for other in ({"customer_id": "acme"}, {"session_id": "s"}, {"agent_id": "b"}):
            for number in range(2):
                with attribute(**other):
                    assert last_request_id() is None, "nothing of who was there before"
                    answer(f"{other}{number}")
                    assert last_request_id() == f"{other}{number}"
            assert last_request_id() == "2"
        with attribute(request_id="mine"):
            assert last_request_id() == "mine"
            answer("mine")
        assert last_request_id() == "2"


def test_after_a_sub_agent_it_is_the_outer_agents_call_again_however_parallel() -> None:
    @attribute(agent_id="sub")
    async def sub(name: str) -> None:
        answer(f"sub of {name}")
        await asyncio.sleep(0)
        assert last_request_id() == f"sub of {name}"

    async def branch(name: str) -> None:
        run = current_run()
        assert run
        run.begin()
        await asyncio.sleep(0)
        note_request(name, run)
        run.end()
        await sub(name)
        assert last_request_id() == name

    async def main() -> None:
        with attribute(agent_id="a"):
            await asyncio.gather(branch("1"), branch("2"))
            run = current_run()
            assert run
            assert run.parallel
            assert run.in_flight == 0
            assert last_request_id() is None, "here it can't be told"

    asyncio.run(main())


async def answer_later(request_id: str) -> None:
    await asyncio.sleep(0)
    answer(request_id)


async def tool() -> str | None:
    await asyncio.sleep(0)
    return last_request_id()


def test_a_call_and_its_tool_in_tasks_of_their_own() -> None:
    async def main(*, router: bool) -> None:
        with attribute(agent_id="a", session_id="s"):
            if router:
                answer("router")
            for number in range(3):  # as LangGraph does it
                await asyncio.create_task(answer_later(f"{number}"))
                assert await asyncio.create_task(tool()) == f"{number}"
            assert last_request_id() == "2"

    asyncio.run(main(router=False))
    asyncio.run(main(router=True))


def test_a_call_with_a_task_or_thread_of_its_own_is_joined_by_its_caller() -> None:
    async def several(count: int) -> None:
        for number in range(count):
            await answer_later(f"several {number}")

    async def main() -> None:
        with attribute(agent_id="a"):
            for number in range(2):
                await asyncio.wait_for(answer_later(f"waited {number}"), 5)
                assert last_request_id() == f"waited {number}"
                await answer_later(f"plain {number}")
                assert last_request_id() == f"plain {number}"
                await asyncio.to_thread(answer, f"thread {number}")
                assert last_request_id() == f"thread {number}"
            answer("own")
            await asyncio.wait_for(several(3), 5)
            assert last_request_id() == "several 2"
            with ThreadPoolExecutor(1) as pool:
                pool.submit(propagate(answer), "pool").result()
            assert last_request_id() == "pool"

    asyncio.run(main())


def test_branches_of_one_agent_keep_to_their_own_calls() -> None:
    async def branch(name: str, *, together: bool) -> None:
        run = current_run()
        assert run
        for number in range(10):
            async with lock if not together else other_lock():
                run.begin()
                await asyncio.sleep(0)
                note_request(f"{name}{number}", run)
                run.end()
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            assert last_request_id() == f"{name}{number}"

    @asynccontextmanager
    async def other_lock() -> AsyncIterator[None]:
        yield

    async def main(*, together: bool) -> None:
        with attribute(agent_id="a"):
            answer("before")
            await asyncio.gather(*(branch(name, together=together) for name in "xyz"))
            run = current_run()
            assert run
            assert run.parallel is together

    chance, lock = random.Random(0), asyncio.Lock()
    asyncio.run(main(together=False))
    asyncio.run(main(together=True))


def test_where_calls_were_parallel_only_the_own_context_knows() -> None:
    with attribute(agent_id="a"):
        run = current_run()
        assert run
        run.begin()
        run.begin()
        in_own_context(note_request, "1", run)
        in_own_context(note_request, "2", run)
        run.end()
        run.end()
        assert last_request_id() is None
        answer("3")
        assert last_request_id() == "3"
        in_own_context(answer, "4")
        assert last_request_id() == "3"


def test_the_answer_of_another_run_changes_nothing_here() -> None:
    with attribute(agent_id="a"):
        run = current_run()
    with attribute(agent_id="b"):
        answer("b1")
        note_request("a1", run)  # a stream of a's that b reads
        assert last_request_id() == "b1"
        note_request("nobody's", None)
        assert last_request_id() == "b1"
    assert run
    assert run.line == ("a1",)


@pytest.mark.parametrize("parallel", [False, True])
def test_blocks_generators_and_functions_join_to_the_run_that_they_share(*, parallel: bool) -> None:
    @attribute(feature="stream")
    def same_agent() -> Iterator[str | None]:
        for number in range(3):
            answer(f"same {number}")
            yield last_request_id()
            assert last_request_id() == f"consumer {number}", "the consumer's call came after"

    @attribute(agent_id="sub")
    def sub_agent() -> Iterator[str | None]:
        answer("sub")
        yield last_request_id()
        yield last_request_id()

    with attribute(agent_id="a"):
        run = current_run()
        assert run
        run.parallel = parallel
        for number, inside in enumerate(same_agent()):
            assert inside == last_request_id() == f"same {number}"
            answer(f"consumer {number}")
        for number, inside in enumerate(sub_agent()):
            assert inside == "sub"
            answer(f"own {number}")
            assert last_request_id() == f"own {number}"
        with attribute(feature="block"):
            assert last_request_id() == "own 1"
            answer("block")
        assert last_request_id() == "block"
        attribute(feature="function")(answer)("function")
        assert last_request_id() == "function"


@pytest.mark.parametrize("seed", range(3))
def test_50_agents_at_once_never_cross(seed: int) -> None:
    chance = random.Random(seed)

    async def pause() -> None:
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)

    async def call(request_id: str) -> None:
        run = current_run()
        assert run
        run.begin()
        await pause()
        note_request(request_id, run)
        await pause()
        run.end()

    async def work(name: str) -> int:
        joined = 0
        with attribute(agent_id=name, session_id=f"session of {name}"):
            for step in range(20):
                await pause()
                request_id = f"{name}.{step}"
                way = chance.randrange(4)
                if way == 0:
                    await call(request_id)
                elif way == 1:
                    await asyncio.wait_for(call(request_id), 60)
                elif way == 2:
                    await asyncio.create_task(call(request_id))
                else:
                    with attribute(feature=f"step {step}"):
                        await call(request_id)
                await pause()
                if step % 5 == 4:
                    await attribute(agent_id=f"sub of {name}")(call)(f"sub.{request_id}")
                found = await (asyncio.create_task(tool()) if chance.random() < 0.5 else tool())
                assert found == request_id
                assert agent() == name
                joined += 1
        return joined

    async def main() -> list[int]:
        return await asyncio.gather(*(work(f"agent {number}") for number in range(50)))

    assert asyncio.run(main()) == [20] * 50


def test_a_loop_of_agents_keeps_nothing() -> None:
    with attribute(agent_id="a"):
        for _ in range(300):
            answer("id")
        run = current_run()
        assert run
        assert len(run.line) == 100


def test_it_costs_microseconds() -> None:
    begin = time.perf_counter()
    for number in range(2000):
        with attribute(agent_id="a", customer_id="c"):
            answer(str(number))
            last_request_id()
    assert (time.perf_counter() - begin) / 2000 < 200e-6  # 5 microseconds as a rule
