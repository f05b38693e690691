"""Servers, and a ledger to show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent_ledger import Ledger, plugins

pytest.importorskip("datasette", reason="the extra datasette is not installed")

from datasette_server import Server, fill


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Makes servers, and ends them."""
    made: list[Server] = []

    def serve(*paths: Path, config: Mapping[str, Any] | None = None) -> Server:
        made.append(Server(*paths, config=config))
        return made[-1]

    yield serve
    for server in made:
        server.close()


@pytest.fixture(scope="session")
def ledger_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger whose pages all have something to show. Nobody writes to it."""
    path = tmp_path_factory.mktemp("filled") / "ledger.db"
    with pytest.MonkeyPatch.context() as patch, Ledger(path) as ledger:
        patch.setattr(plugins, "price_sources", list)
        fill(ledger)
    return path
