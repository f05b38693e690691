"""The course of a compaction: what one step found out for the next, and how many rows the next one takes."""

from __future__ import annotations

import gc
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from agent_ledger import call_sums, tool_sums
from agent_ledger.schema import transaction

_FIRST_STEP: Final = 2_000  # rows, before it is known how long they take
_LEAST: Final = 500
_MOST: Final = 200_000  # more would gain little, and take more than 200 MB
_TOGETHER_S: Final = 0.002  # of computing in a transaction where others write,
_ALONE_S: Final = 0.25  # and where nobody has
_ALONE_AFTER_S: Final = 5.0  # for so long


class Stretch(NamedTuple):
    """What a step depends on: where it begins, prices and assignments, and how many of its rows moved away."""

    first: int
    facts: tuple[int, ...]
    moved: int


class Course:
    """One course of steps on a connection. `rows`: of each step; None: as many as can be written in a short time."""

    def __init__(self, connection: sqlite3.Connection, rows: int | None) -> None:
        self.rows = rows or _FIRST_STEP
        self._is_fixed = rows is not None
        self._version = _version(connection)
        self._others_at = time.monotonic()  # somebody may be writing
        self._facts: tuple[int, ...] | None = None
        self._kinds: call_sums.Kinds | None = None
        self._tool_kinds: tool_sums.Kinds | None = None

    def kinds(self, connection: sqlite3.Connection, stretch: Stretch) -> call_sums.Kinds:
        """The kinds of calls, anew where prices or assignments have changed."""
        if self._kinds is None or self._facts != stretch.facts:
            self._kinds, self._facts = call_sums.Kinds(connection), stretch.facts
        return self._kinds

    def tool_kinds(self, connection: sqlite3.Connection, stretch: Stretch) -> tool_sums.Kinds:
        """The kinds of tool calls, likewise."""
        if self._tool_kinds is None or self._facts != stretch.facts:
            self._tool_kinds, self._facts = tool_sums.Kinds(connection), stretch.facts
        return self._tool_kinds

    @contextmanager
    def writing(self, connection: sqlite3.Connection) -> Iterator[None]:
        """A transaction, whose time decides how many rows the next step takes."""
        with transaction(connection):
            began = time.thread_time()
            yield
        self._follow(connection, time.thread_time() - began)

    def _follow(self, connection: sqlite3.Connection, took: float) -> None:
        if (version := _version(connection)) != self._version:
            self._version, self._others_at = version, time.monotonic()
        if not self._is_fixed:
            is_alone = time.monotonic() - self._others_at > _ALONE_AFTER_S
            factor = (_ALONE_S if is_alone else _TOGETHER_S) / max(took, 1e-4)
            self.rows = min(max(int(self.rows * min(max(factor, 0.25), 2.0)), _LEAST), _MOST)


def _version(connection: sqlite3.Connection) -> int:
    """Another number where another connection has written."""
    return int(connection.execute("pragma data_version").fetchone()[0])


@contextmanager
def uncollected() -> Iterator[None]:
    """Without a search for garbage, which would look through all sums again and again, and find none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
