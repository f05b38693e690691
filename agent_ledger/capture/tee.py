"""The stream of an HTTP answer, which remembers what came through it on its way to the caller."""

from __future__ import annotations

import atexit
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from functools import cache
from typing import Any, Protocol
from weakref import WeakSet

PACKAGES = ("httpx", "httpx2")


class Reader(Protocol):
    """Who wants to know what came."""

    def wants(self, beginning: bytes) -> bool:
        """Is the body that begins like this worth keeping until its end?"""

    def ended(self, parts: list[bytes], *, complete: bool) -> None:
        """The body is over, as raw bytes; called once. `complete` False: the caller stopped reading, or the connection
        broke. Never raises."""


def tee(stream: Any, reader: Reader) -> Any:
    """`stream` of an httpx or httpx2 response, read by `reader` too. It never reads ahead, and ends with the stream: at
    its end, when it is closed, or when nobody holds it any longer. Raises TypeError for another stream."""
    for one in type(stream).__mro__:
        if one.__module__.partition(".")[0] in PACKAGES and one.__name__ in ("SyncByteStream", "AsyncByteStream"):
            return _tee_of(one)(stream, reader)
    raise TypeError(f"A {type(stream).__name__} is no stream of {' or '.join(PACKAGES)}.")


class _Tee:
    def __init__(self, stream: Any, reader: Reader) -> None:
        self._inner = stream
        self._reader: Reader | None = reader
        self._parts: list[bytes] = []
        # The anthropic SDK asks for it at every event, and not to find it is what takes time.
        self.stream_observer = getattr(stream, "stream_observer", None)
        _open.add(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # httpx2 keeps the elapsed time there

    def _keep(self, chunk: bytes) -> None:
        if self._reader and (self._parts or self._reader.wants(chunk)):
            self._parts.append(chunk)
        else:
            self._reader = None

    def _end(self, *, complete: bool) -> None:
        reader, self._reader = self._reader, None
        if reader:
            reader.ended(self._parts, complete=complete)

    def __del__(self) -> None:
        self._end(complete=False)


_open: WeakSet[_Tee] = WeakSet()


@atexit.register
def end_all() -> None:
    """What is still open when the process ends, ends now, while there is somebody to record it."""
    for one in list(_open):
        one._end(complete=False)


class _SyncTee(_Tee):
    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            self._keep(chunk)
            yield chunk
        self._end(complete=True)

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._end(complete=False)


class _AsyncTee(_Tee):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = self._inner.__aiter__()
        try:
            async for chunk in chunks:
                self._keep(chunk)
                yield chunk
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
        self._end(complete=True)

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._end(complete=False)


@cache
def _tee_of(kind: type[Any]) -> Any:
    """The class for streams of such a kind, which their package asks for by isinstance."""
    return type("Tee", (_AsyncTee if kind.__name__ == "AsyncByteStream" else _SyncTee, kind), {})
