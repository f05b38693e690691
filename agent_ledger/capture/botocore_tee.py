"""The streams of botocore's answers, which tell what comes through them on its way to the caller.

The stream stays the same object and of its kind: it gets a class that is derived from its own. So nothing is read
ahead, and whatever else the caller does with it is done as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Protocol


class Reader(Protocol):
    """Who wants to know what came. Neither method raises."""

    def came(self, piece: Any) -> None:
        """The caller gets this event, or these bytes of a body, now."""

    def ended(self, *, complete: bool) -> None:
        """The stream is over. `complete` False: the caller stopped reading, or the connection broke. What is called
        after that says nothing new."""


def tee(stream: Any, reader: Reader) -> None:
    """Let `reader` know what is read from `stream`, botocore's EventStream or StreamingBody. Raises TypeError for
    another."""
    if not isinstance(stream, _Tee):
        kind: Any = type(stream)
        stream.__class__ = _tee_of(kind)
        stream.agent_ledger_readers = ()
    stream.agent_ledger_readers = (*stream.agent_ledger_readers, reader)


class _Tee:
    agent_ledger_readers: tuple[Reader, ...]

    def _came(self, piece: Any) -> None:
        for reader in self.agent_ledger_readers:
            reader.came(piece)

    def _ended(self, *, complete: bool) -> None:
        for reader in self.agent_ledger_readers:
            reader.ended(complete=complete)

    def close(self) -> None:
        try:
            super().close()  # type: ignore[misc]
        finally:
            self._ended(complete=False)

    def __del__(self) -> None:
        self._ended(complete=False)
        finalize = getattr(super(), "__del__", None)
        if finalize is not None:
            finalize()


class _EventsTee(_Tee):
    def __iter__(self) -> Iterator[Any]:
        try:
            for event in super().__iter__():  # type: ignore[misc]
                self._came(event)
                yield event
        except GeneratorExit:
            raise  # the caller may go on with another iterator
        except BaseException:
            self._ended(complete=False)
            raise
        self._ended(complete=True)


class _BodyTee(_Tee):
    # `with body as raw` hands out the stream inside: what is read there is not seen.

    def read(self, amt: int | None = None) -> bytes:
        try:
            data: bytes = super().read(amt)  # type: ignore[misc]
        except BaseException:
            self._ended(complete=False)
            raise
        self._came(data)
        if amt is None or (amt > 0 and not data):
            self._ended(complete=True)
        return data

    def readinto(self, b: Any) -> int:
        try:
            amount: int = super().readinto(b)  # type: ignore[misc]
        except BaseException:
            self._ended(complete=False)
            raise
        self._came(bytes(memoryview(b)[:amount]))
        if len(b) and not amount:
            self._ended(complete=True)
        return amount

    def readlines(self) -> list[bytes]:
        lines: list[bytes] = super().readlines()  # type: ignore[misc]
        self._came(b"".join(lines))
        self._ended(complete=True)
        return lines

    def __exit__(self, *error: Any) -> None:
        try:
            super().__exit__(*error)  # type: ignore[misc]
        finally:
            self._ended(complete=False)


@cache
def _tee_of(kind: type[Any]) -> type[Any]:
    for name, ours in (("EventStream", _EventsTee), ("StreamingBody", _BodyTee)):
        if any(one.__name__ == name for one in kind.__mro__):
            return type(kind.__name__, (ours, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})
    raise TypeError(f"A {kind.__name__} is no stream of botocore.")
