"""A call that goes to another model than the agent asked for: what its row's neighbours need to know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reroute:
    """What the agent asked for, and the directive that changed it."""

    requested_model: str
    directive_id: int | None


_current: ContextVar[Reroute | None] = ContextVar("agent_ledger_reroute", default=None)


def current() -> Reroute | None:
    """How the call that goes out here and now was changed; None: it was not."""
    return _current.get()


@contextmanager
def rerouting(reroute: Reroute | None) -> Iterator[None]:
    """Inside, the call that goes out was changed like this."""
    token = _current.set(reroute)
    try:
        yield
    finally:
        _current.reset(token)
