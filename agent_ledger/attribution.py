"""Who is calling, for whom, and which LLM call came last: carried in one context variable.

A context variable follows nested calls, asyncio tasks and `asyncio.to_thread`. Threads and executors start empty, so
what they run is wrapped in `propagate`.
"""

from __future__ import annotations

import inspect
import threading
import types
from collections.abc import Callable, Generator
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from agent_ledger.validation import check_text

_Function = TypeVar("_Function", bound=Callable[..., Any])
_INHERIT: Final[Any] = type("Inherit", (), {"__repr__": lambda _: "as outside"})()
_LONGEST_LINE: Final = 100  # LLM calls in a task of its own, after which its parent no longer knows that it led there


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who is calling. None: not said."""

    agent_id: str | None = None
    customer_id: str | None = None
    feature: str | None = None
    session_id: str | None = None
    request_id: str | None = None  # of the runtime; None: the provider's id of each LLM call

    def filled(self, other: Attribution) -> Attribution:
        """This, with `other` for what it leaves open."""
        # Field by field: this is done twice for each call.
        return Attribution(
            other.agent_id if self.agent_id is None else self.agent_id,
            other.customer_id if self.customer_id is None else self.customer_id,
            other.feature if self.feature is None else self.feature,
            other.session_id if self.session_id is None else self.session_id,
            other.request_id if self.request_id is None else self.request_id,
        )


@dataclass(slots=True)
class Run:
    """What the tasks and threads of one agent's run share: its work for one customer, session and request."""

    in_flight: int = 0
    parallel: bool = False  # have two LLM calls ever been under way at once?
    line: tuple[str, ...] = ()  # the ids of its newest LLM call and of those that led there, the newest last
    # Reentrant: a stream may end in a garbage collection that begins while the lock is held.
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def begin(self) -> None:
        """An LLM call goes out."""
        with self._lock:
            self.in_flight += 1
            self.parallel = self.parallel or self.in_flight > 1

    def end(self) -> None:
        """Its answer is complete."""
        with self._lock:
            self.in_flight -= 1


@dataclass(frozen=True, slots=True)
class _Scope:
    who: Attribution
    run: Run | None
    line: tuple[str, ...] = ()  # the ids of the run's LLM calls that led here, the newest last
    block: attribute | None = None  # what opened it
    outer: _Scope | None = None

    def after(self, other: _Scope) -> _Scope:
        """This scope where `other` was left: if both are of one run, the calls made there led here."""
        return replace(self, line=other.line) if self.run is other.run and self.line is not other.line else self

    def without(self, block: attribute) -> _Scope:
        """This scope after the end of `block`. It need not be the innermost one: a generator is closed when it likes,
        and even in a context where it was never opened."""
        if self.outer is None:
            return self
        if self.block is block:
            return self.outer.after(self)
        return replace(self, outer=self.outer.without(block))


_NOWHERE: Final = _Scope(Attribution(), None)
_sources: list[Callable[[], Attribution]] = []
_scope: ContextVar[_Scope] = ContextVar("agent_ledger_scope", default=_NOWHERE)


def current() -> Attribution:
    """Who is calling here and now."""
    return _scope.get().who


def caller() -> Attribution:
    """Who is calling here and now, by `attribute` and, for what it leaves open, by whoever else knows."""
    who = current()
    for source in _sources:
        who = who.filled(source())
    return who


def ask_also(source: Callable[[], Attribution]) -> Callable[[], None]:
    """Where `attribute` leaves something open, `caller` asks `source` too. Returns a function that ends it."""
    _sources.append(source)

    def stop() -> None:
        if source in _sources:
            _sources.remove(source)

    return stop


def current_run() -> Run | None:
    """The run of the agent that is calling; None outside of `attribute`."""
    return _scope.get().run


def note_request(request_id: str, run: Run | None) -> None:
    """An LLM call of `run` has this id: the tool calls that follow here belong to it."""
    scope = _scope.get()
    line: tuple[str, ...] = (request_id,)
    if scope.run is run:  # not so where an answer is read by somebody else than who asked
        line = (*scope.line[1 - _LONGEST_LINE :], request_id)
        _scope.set(replace(scope, line=line))
    if run:
        run.line = line


def last_request_id() -> str | None:
    """The id of the LLM call that a tool call made here and now belongs to; None where that can't be told.

    It is the runtime's own id where `attribute` gives one. Otherwise it is the last call of this context, or the
    agent's last one where that followed from it or where this context made none: frameworks, executors and, before
    Python 3.12, `asyncio.wait_for` make calls in contexts of their own. An agent that ever had several calls under way
    at once has no last one: it could be a neighbour's.
    """
    scope = _scope.get()
    if scope.who.request_id:
        return scope.who.request_id
    line = scope.line
    if scope.run and not scope.run.parallel and (not line or line[-1] in scope.run.line):
        line = scope.run.line
    return line[-1] if line else None


class attribute:  # noqa: N801  # used like a function
    """Everything recorded inside belongs to this agent, customer, feature and session.

        with attribute(agent_id="fraud-classifier", customer_id="acme"):
            client.messages.create(...)

    Also a decorator, of functions, coroutines and generators. Inside another `attribute`, what is not given stays as it
    is outside; None says that there is none. `request_id` is the runtime's own id, for all LLM calls inside; without it
    each has the provider's. In a generator, prefer the decorator: what a `with` there holds, its consumer sees too.
    Raises InvalidRecord for a value that is not text.
    """

    def __init__(
        self,
        *,
        agent_id: str | None = _INHERIT,
        customer_id: str | None = _INHERIT,
        feature: str | None = _INHERIT,
        session_id: str | None = _INHERIT,
        request_id: str | None = _INHERIT,
    ) -> None:
        given = {
            "agent_id": agent_id,
            "customer_id": customer_id,
            "feature": feature,
            "session_id": session_id,
            "request_id": request_id,
        }
        self._given = {name: value for name, value in given.items() if value is not _INHERIT}
        for name, value in self._given.items():
            if value is not None:
                check_text(name, value)

    def __enter__(self) -> Self:
        _scope.set(self._inside(_scope.get()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Not by a token: it is bound to a context, and a generator may be closed in another one.
        _scope.set(_scope.get().without(self))

    def _inside(self, outer: _Scope) -> _Scope:
        who = replace(outer.who, **self._given)
        if outer.run and who == replace(outer.who, feature=who.feature):  # a feature is a step of a run
            return _Scope(who, outer.run, outer.line, self, outer)
        return _Scope(who, Run(), (), self, outer)

    def __call__(self, function: _Function) -> _Function:
        """Decorate `function`: each call of it runs inside. A generator inherits from where it is first asked."""
        if isinstance(function, type):
            raise TypeError(f"attribute can't decorate the class {function.__name__}: decorate its methods")
        return _wrapped(function, lambda: _Inside(self._inside(_scope.get())))  # type: ignore[no-any-return]


def propagate(function: _Function) -> _Function:
    """`function`, to be run in a thread or an executor, with the attribution of the place where this is called.

        pool.submit(propagate(work), item)

    The whole context goes along, so that tracing does too.
    """
    # A copy for each call: a context can't be entered twice at once.
    return _wrapped(function, copy_context().copy)  # type: ignore[no-any-return]


def inherited(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, with the attribution of the place where this is called and nothing else of its context."""
    scope = _scope.get()
    return partial(_Inside(scope).run, function) if scope.run else function


def detached(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, with no attribution; threads that it starts have none to inherit."""
    return partial(_Inside(_NOWHERE).run, function)


class _Place(Protocol):
    """Where the steps of one call are run. A `contextvars.Context` is one."""

    def run(self, step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Do one step there."""


class _Inside:
    """Inside a scope, which is kept from one step to the next; between them the context is its caller's."""

    def __init__(self, scope: _Scope) -> None:
        self._scope = scope

    def run(self, step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        before = _scope.get()
        _scope.set(self._scope.after(before))
        try:
            return step(*args, **kwargs)
        finally:
            self._scope = _scope.get()
            _scope.set(before.after(self._scope))


def _wrapped(function: Any, place: Callable[[], _Place]) -> Any:
    """`function`, of the same kind, each call of it run at a place of its own."""
    if isinstance(function, staticmethod | classmethod):
        return type(function)(_wrapped(function.__func__, place))
    wrapper: Any
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await _driven(function(*args, **kwargs), place())

    elif inspect.isasyncgenfunction(function):
        wrapper = _wrapped_async_generator(function, place)
    elif inspect.isgeneratorfunction(function):

        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return (yield from _steps(function(*args, **kwargs), place()))

    else:

        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            there = place()
            result = there.run(function, *args, **kwargs)
            return _awaited(result, there) if inspect.iscoroutine(result) else result

    return wrapper


def _steps(generator: Any, place: _Place) -> Generator[Any, Any, Any]:
    """What `generator` does, each step of it at `place`. Whatever is sent or thrown in goes on to it."""
    step, value = generator.send, None
    while True:
        try:
            item = place.run(step, value)
        except StopIteration as stop:
            return stop.value
        finally:
            step, value = generator.send, None  # an error that was thrown in is not held any longer
        try:
            value = yield item
        except BaseException as error:
            step, value = generator.throw, error


_driven = types.coroutine(_steps)  # awaitable, for what is awaited


async def _awaited(coroutine: Any, place: _Place) -> Any:
    return await _driven(coroutine, place)


def _wrapped_async_generator(function: Any, place: Callable[[], _Place]) -> Any:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        there, generator = place(), function(*args, **kwargs)
        step, value = generator.asend, None
        while True:
            try:
                item = await _driven(step(value), there)
            except StopAsyncIteration:
                return
            finally:
                step, value = generator.asend, None
            try:
                value = yield item
            except BaseException as error:
                step, value = generator.athrow, error

    return wrapper
