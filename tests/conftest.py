"""What all tests share: a deterministic hypothesis profile and an open ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from support import empty_file

from agent_ledger import Ledger, attribution, plugins

settings.register_profile("ci", derandomize=True, deadline=None, database=None)
settings.load_profile("ci")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An open, empty ledger, with the price sources that everybody has."""
    path = tmp_path / "ledger.db"
    path.write_bytes(empty_file())
    with Ledger(path) as opened:
        yield opened


@pytest.fixture
def no_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what models cost, except the price rows of the test."""
    monkeypatch.setattr(plugins, "price_sources", list)


@pytest.fixture(autouse=True)
def _no_call_is_remembered() -> Iterator[None]:
    """A test's last LLM call is not the next test's."""
    before = attribution._scope.set(attribution._NOWHERE)
    yield
    attribution._scope.reset(before)
