"""Tools that are plain functions: every call of one becomes an audit row."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from functools import wraps
from typing import Any

from agent_ledger.capture.exchange import Stamps
from agent_ledger.capture.tool_call import INVALID_PARAMS, NOT_GIVEN, Execution, caller, current, report

__all__ = ["report", "tool"]

_log = logging.getLogger("agent_ledger")
_Function = Callable[..., Any]


def tool(
    stamps: Stamps,
    function: _Function | None = None,
    /,
    *,
    name: str | None = None,
    server: str | None = None,
    resource_id: str | Callable[..., str | None] | None = None,
    operation: str | Callable[..., str | None] | None = None,
    units: float | Callable[..., float | None] | None = None,
    unit: str | None = None,
    cost_usd: float | Callable[..., float | None] | None = None,
) -> Any:
    """Decorate a function that is a tool, or get the decorator for it: every call of it becomes a row of `audit`.

        @ledger.tool(server="s3", resource_id=lambda bucket, key: bucket)
        def get_object(bucket: str, key: str) -> bytes: ...

    For functions, coroutines, generators (one call, until exhausted or closed) and methods. What is given as a function
    gets the arguments of the call, before it; what is known only afterwards the tool says with `report`. The agent is
    that of the surrounding `attribute`, the request that of the last LLM call there. `name` None: the function's own.
    Results, exceptions and the function's signature stay as they are; an exception is the row's `error_type`, and
    arguments that don't fit the signature are "invalid_params". Under an MCP server that is recorded itself, the tool
    adds what it knows to that row and makes none of its own.
    """
    given = {
        "resource_id": resource_id, "operation": operation, "units": units, "unit": unit, "cost_usd": cost_usd,
    }  # fmt: skip

    def decorate(function: _Function) -> Any:
        if isinstance(function, staticmethod | classmethod):
            return type(function)(decorate(function.__func__))
        return _wrapped(function, _Declared(stamps, function, name, server, given))

    return decorate if function is None else decorate(function)


class _Declared:
    """A tool as its decorator describes it."""

    def __init__(
        self, stamps: Stamps, function: _Function, name: str | None, server: str | None, given: Mapping[str, Any]
    ) -> None:
        self._stamps = stamps
        self._name = name or getattr(function, "__name__", None) or type(function).__name__
        self._server = server
        self._given = {field: value for field, value in given.items() if value is not None}
        self._skipped = int(_is_method(function))
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
        except (TypeError, ValueError):  # written in C, without one
            self._signature = None

    def begin(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Execution, str | None]:
        """The call that starts now, and the kind of error where its arguments do not fit."""
        request_id, agent_id = caller()
        arguments, misfit = self._arguments(args, kwargs)
        execution = Execution(
            self._stamps,
            tool=self._name,
            server=self._server,
            arguments=arguments,
            request_id=request_id,
            agent_id=agent_id,
            part_of=self._recorded_already(),
        )
        if not misfit:
            execution.know(**{field: self._value(field, args, kwargs) for field in self._given})
        return execution, misfit

    def _recorded_already(self) -> Execution | None:
        """The MCP request that this call of the function answers."""
        outer = current()
        if outer is None or outer.over or outer.request is None or outer.stamps is not self._stamps:
            return None
        return outer if outer.tool == self._name else None

    def _arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, str | None]:
        if self._signature is None:
            return NOT_GIVEN, None
        try:
            bound = self._signature.bind(*args, **kwargs).arguments
        except TypeError:
            return dict(kwargs), INVALID_PARAMS
        return dict(list(bound.items())[self._skipped :]), None

    def _value(self, field: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        value = self._given[field]
        if not callable(value):
            return value
        try:
            return value(*args, **kwargs)
        except Exception:
            _log.warning("The %s of a call of %s could not be told", field, self._name, exc_info=True)
            return None


def _is_method(function: _Function) -> bool:
    """Is the first argument the object, and no argument of the tool?"""
    code = getattr(function, "__code__", None)
    outside = getattr(function, "__qualname__", "").rpartition(".")[0]
    in_class = bool(outside) and not outside.endswith("<locals>")
    return in_class and code is not None and code.co_argcount > 0 and code.co_varnames[0] in ("self", "cls")


def _wrapped(function: _Function, declared: _Declared) -> _Function:
    """What stands in for the function: of the same kind, so that frameworks that look at it see no difference."""
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, declared)
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, declared)
    if inspect.isgeneratorfunction(function):
        return _generator(function, declared)
    return _plain_function(function, declared)


def _plain_function(function: _Function, declared: _Declared) -> _Function:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        execution, misfit = declared.begin(args, kwargs)
        try:
            with execution:
                result = function(*args, **kwargs)
        except BaseException as error:
            execution.failed(misfit or type(error).__name__)
            raise
        execution.returned(result)
        return result

    return wrapper


def _coroutine(function: _Function, declared: _Declared) -> _Function:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        execution, misfit = declared.begin(args, kwargs)
        try:
            with execution:
                result = await function(*args, **kwargs)
        except BaseException as error:
            execution.failed(misfit or type(error).__name__)
            raise
        execution.returned(result)
        return result

    return wrapper


def _generator(function: _Function, declared: _Declared) -> _Function:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        execution, misfit = declared.begin(args, kwargs)
        try:
            generator = function(*args, **kwargs)
            step, value = generator.send, None
            while True:
                try:
                    with execution:  # between the steps the caller has the context to itself
                        item = step(value)
                except StopIteration as stop:
                    execution.returned()
                    return stop.value
                try:
                    value, step = (yield item), generator.send
                except GeneratorExit:
                    with execution:
                        generator.close()
                    raise
                except BaseException as error:  # whatever is thrown in is thrown on
                    step, value = generator.throw, error
        except GeneratorExit:  # the caller has enough
            execution.returned()
            raise
        except BaseException as error:
            execution.failed(misfit or type(error).__name__)
            raise

    return wrapper


def _async_generator(function: _Function, declared: _Declared) -> _Function:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        execution, misfit = declared.begin(args, kwargs)
        try:
            generator = function(*args, **kwargs)
            step, value = generator.asend, None
            while True:
                try:
                    with execution:
                        item = await step(value)
                except StopAsyncIteration:
                    execution.returned()
                    return
                try:
                    value, step = (yield item), generator.asend
                except GeneratorExit:
                    with execution:
                        await generator.aclose()
                    raise
                except BaseException as error:
                    step, value = generator.athrow, error
        except GeneratorExit:
            execution.returned()
            raise
        except BaseException as error:
            execution.failed(misfit or type(error).__name__)
            raise

    return wrapper
