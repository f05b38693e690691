"""A PostgreSQL server that tests can kill, and connections to it."""

from __future__ import annotations

import os
import signal
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest

_numbers = count(1)


class Server:
    """A server; `pid` None: it is not ours to kill."""

    def __init__(self, address: str, started: Any = None) -> None:
        self.address = address
        self._started = started

    @property
    def ours(self) -> bool:
        return self._started is not None

    @property
    def folder(self) -> Path:
        return Path(self._started.pgdata)

    def kill(self) -> None:
        """It ends at once, as in a power failure, and starts again."""
        process = self._started.get_postmaster_info().process
        os.kill(process.pid, signal.SIGQUIT)
        deadline = time.monotonic() + 60
        while process.is_running() and process.status() != "zombie":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self._started.start()

    def schema(self) -> str:
        """The address of a new schema."""
        name = f"s{os.getpid()}_{next(_numbers)}"
        with connect(self.address) as connection:
            connection.execute(f"create schema {name}")
        sign = "&" if "?" in self.address else "?"
        return f"{self.address}{sign}options=-csearch_path%3D{name}"


def connect(address: str) -> Any:
    """A connection in autocommit mode."""
    return pytest.importorskip("psycopg").connect(address, autocommit=True)


def rows(address: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with connect(address) as connection:
        return list(connection.execute(sql, values or None).fetchall())
