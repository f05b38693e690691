"""Observes boto3's bedrock-runtime clients through botocore's own events, which surround each call and its retries.

What is under way is kept in the dict that botocore carries from one event of a call to the next, so that threads which
share a client don't meet. aiobotocore has other streams, and is not observed.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any
from urllib.parse import unquote

from agent_ledger.attribution import Attribution
from agent_ledger.capture.bedrock_call import OPERATIONS, deliver
from agent_ledger.capture.endpoints import endpoint
from agent_ledger.capture.exchange import Exchange, Stamps, never_raising
from agent_ledger.capture.on_import import when_imported

_log = logging.getLogger("agent_ledger")

RULING = "agent_ledger.ruling"  # in the dict that botocore carries from one event of a call to the next


def attach(client: Any, stamps: Stamps, *, provider: str | None = None, defaults: Attribution | None = None) -> bool:
    """Record in `stamps` the calls of `client`: `boto3.client("bedrock-runtime")`. False: it is something else.
    Attaching again changes nothing.

    `provider` stands in the rows instead of "aws". `defaults` stand in for what the context does not say of who is
    calling.
    """
    if not is_bedrock_runtime(client):
        return False
    _observer_of(client, stamps).ask_for(provider, defaults)
    return True


def attach_everywhere(stamps: Stamps) -> Callable[[], None]:
    """Record in `stamps` the calls of any bedrock-runtime client in this process, also if botocore is imported only
    later; returns what undoes it."""
    return when_imported("botocore.client", lambda module: _patched(module, stamps))


def _patched(module: ModuleType, stamps: Stamps) -> Callable[[], None]:
    """Attach to each client when it is about to make a call: also those that were made before get observed."""
    kind = module.BaseClient
    before = kind._make_api_call
    observers: weakref.WeakSet[_Observer] = weakref.WeakSet()
    stopped = False

    @never_raising
    def attach_to(client: Any) -> None:
        if is_bedrock_runtime(client):
            observer = _observer_of(client, stamps)
            observer.everywhere = True
            observers.add(observer)

    @wraps(before)
    def ours(client: Any, *args: Any, **kwargs: Any) -> Any:
        if not stopped:
            attach_to(client)
        return before(client, *args, **kwargs)

    kind._make_api_call = ours

    def undo() -> None:
        nonlocal stopped
        stopped = True  # somebody may have wrapped ours meanwhile, and goes on calling it
        if kind._make_api_call is ours:
            kind._make_api_call = before
        for observer in observers:
            observer.everywhere = False

    return undo


def is_bedrock_runtime(client: Any) -> bool:
    """Is it boto3's client of that service?"""
    kinds = [(one.__module__, one.__name__) for one in type(client).__mro__]
    if ("botocore.client", "BaseClient") not in kinds or ("aiobotocore.client", "AioBaseClient") in kinds:
        return False
    return bool(client.meta.service_model.service_name == "bedrock-runtime")


def _observer_of(client: Any, stamps: Stamps) -> _Observer:
    """The one observer that `client` has for this ledger."""
    observers: dict[int, _Observer] = vars(client).setdefault("agent_ledger_observers", {})
    found = observers.get(id(stamps))
    if found is None:
        found = observers.setdefault(id(stamps), _Observer(stamps))  # of two threads the first one's
        found.register(client.meta.events)
    return found


class _Observer:
    """Tells which calls of one client are inferences, for one ledger."""

    def __init__(self, stamps: Stamps) -> None:
        self._stamps = stamps
        self._provider: str | None = None
        self._defaults: Attribution | None = None
        self._asked = False  # by attach
        self.everywhere = False  # by attach_everywhere, for as long as it holds
        self._key = f"agent_ledger.{id(stamps)}"

    def ask_for(self, provider: str | None, defaults: Attribution | None) -> None:
        """The client itself is to be observed. The first who asks says how."""
        if not self._asked:
            self._provider, self._defaults, self._asked = provider, defaults, True

    def register(self, events: Any) -> None:
        """Have botocore tell. Registering again changes nothing."""
        for event, handler in (
            ("before-call", self._outgoing),
            ("after-call", self._answered),
            ("after-call-error", self._failed),
        ):
            for operation in OPERATIONS:
                name = f"{event}.bedrock-runtime.{operation}"
                events.register(name, handler, unique_id=f"{self._key}.{name}")

    @never_raising
    def _outgoing(self, *, params: Any, context: Any, **_: Any) -> None:
        if self._asked or self.everywhere:
            found = endpoint("POST", unquote(params["url_path"]))
            context[self._key] = Exchange(
                self._stamps,
                provider=self._provider or "aws",
                model=found.model if found else None,
                defaults=self._defaults,
                ruling=context.get(RULING),
            )

    @never_raising
    def _answered(self, *, http_response: Any, parsed: Any, model: Any, context: Any, **_: Any) -> None:
        exchange = context.pop(self._key, None)
        if exchange is None:
            return
        if http_response.status_code >= 300:
            exchange.failed()
            return
        try:
            deliver(model.name, exchange, parsed, http_response.headers)
        except Exception:  # it was a call nevertheless
            _log.warning("The answer of an LLM call can't be read", exc_info=True)
            exchange.events([], complete=False)

    @never_raising
    def _failed(self, *, context: Any, **_: Any) -> None:
        exchange = context.pop(self._key, None)
        if exchange is not None:
            exchange.failed()
