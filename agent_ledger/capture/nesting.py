"""Which ledgers already watch the call that is on its way here: one SDK sends through another that is watched too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from agent_ledger.capture.exchange import Stamps

_watching: ContextVar[tuple[Stamps, ...]] = ContextVar("agent_ledger_watching", default=())


def is_watched(stamps: Stamps) -> bool:
    """Does an observer further out make the row of what goes out here?"""
    return any(one is stamps for one in _watching.get())


@contextmanager
def watched(stamps: Stamps) -> Iterator[None]:
    """Inside, a call goes out that `stamps` gets a row of: layers further in leave it alone."""
    token = _watching.set((*_watching.get(), stamps))
    try:
        yield
    finally:
        _watching.reset(token)
