"""What was decided about the call that is on its way out, for who makes its rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ruling:
    """`requested_model`: what the agent asked for, where the call goes to another one by `directive_id`; None: it goes
    where it was meant to. `reservation_id`: what is to be settled when the call is over; None: nothing."""

    requested_model: str | None = None
    directive_id: int | None = None
    reservation_id: str | None = None


_current: ContextVar[Ruling | None] = ContextVar("agent_ledger_ruling", default=None)


def current() -> Ruling | None:
    """What was decided about the call that goes out here and now; None: nobody decides."""
    return _current.get()


@contextmanager
def ruled(ruling: Ruling | None) -> Iterator[None]:
    """Inside, this call goes out."""
    token = _current.set(ruling)
    try:
        yield
    finally:
        _current.reset(token)
