"""Built-ins and others come through one door."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from support import Source

from agent_ledger import hookimpl, plugins


@pytest.fixture
def registered() -> Iterator[Callable[[object], None]]:
    """Register plugins for one test only."""
    manager, names = plugins.manager(), []

    def register(plugin: object) -> None:
        names.append(manager.register(plugin))

    yield register
    for name in names:
        manager.unregister(name=name)


class Plugin:
    def __init__(self, *objects: Any) -> None:
        self.objects = objects

    @hookimpl
    def register_price_sources(self, register: Callable[[Any], None]) -> None:
        for one in self.objects:
            if hasattr(one, "prices"):
                register(one)

    @hookimpl
    def register_importers(self, register: Callable[[Any], None]) -> None:
        for one in self.objects:
            if hasattr(one, "files"):
                register(one)


def test_built_in_price_sources_the_winner_first() -> None:
    assert [source.name for source in plugins.price_sources()] == ["genai-prices", "litellm"]


def test_price_sources_of_plugins_are_sorted_in(registered: Callable[[object], None]) -> None:
    registered(Plugin(Source(name="high", priority=99), Source(name="b", priority=50), Source(name="low", priority=1)))
    assert [source.name for source in plugins.price_sources()] == ["high", "b", "genai-prices", "litellm", "low"]


def test_built_in_importers() -> None:
    assert {"claude-code", "responses", "llm", "jsonl", "csv"} <= set(plugins.importers())
    for name, importer in plugins.importers().items():
        assert importer.name == name
        assert importer.summary


def test_a_plugin_may_replace_a_built_in_importer(registered: Callable[[object], None]) -> None:
    own = SimpleNamespace(name="csv", summary="mine", files=lambda path: [path], read=lambda *_: iter(()))
    registered(Plugin(own))
    assert plugins.importers()["csv"] is own


def test_the_manager_is_made_once() -> None:
    assert plugins.manager() is plugins.manager()
