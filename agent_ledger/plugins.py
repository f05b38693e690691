"""The plugin manager: built-ins by name, then whatever the entry point group `agent_ledger` offers."""

from __future__ import annotations

import logging
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import pluggy

from agent_ledger import hookspecs
from agent_ledger.hookspecs import Importer, Notifier, PriceSource, Sink

_log = logging.getLogger("agent_ledger")

# Built-ins come through the same door as everybody else. As text, so that no import points upwards.
_BUILT_IN = (
    "agent_ledger.prices.genai",
    "agent_ledger.prices.litellm_map",
    "agent_ledger.importers.claude_code",
    "agent_ledger.importers.responses",
    "agent_ledger.importers.llm_logs",
    "agent_ledger.importers.table",
    "agent_ledger.importers.cur",
    "agent_ledger.importers.focus",
    "agent_ledger.importers.otlp",
    "agent_ledger.importers.litellm",
    "agent_ledger.importers.anthropic_reports",
    "agent_ledger.importers.openai_reports",
    "agent_ledger.sinks.clickhouse",
    "agent_ledger.sinks.jsonl",
    "agent_ledger.sinks.parquet",
    "agent_ledger.sinks.postgres",
    "agent_ledger.control.notifiers.slack",
    "agent_ledger.control.notifiers.webhook",
    "agent_ledger.control.notifiers.apprise",
)


@cache
def manager() -> pluggy.PluginManager:
    """The plugin manager of this process. A plugin that can't be loaded, or has a hook that is none, is left out."""
    plugins = pluggy.PluginManager("agent_ledger")
    plugins.add_hookspecs(hookspecs)
    for name in _BUILT_IN:
        plugins.register(import_module(name), name=name)
    for entry_point in sorted(entry_points(group="agent_ledger"), key=lambda entry_point: entry_point.name):
        try:
            plugins.register(entry_point.load(), name=entry_point.name)
            plugins.check_pending()
        except Exception:  # a plugin is somebody else's code; the others and the built-ins go on
            if plugins.has_plugin(entry_point.name):
                plugins.unregister(name=entry_point.name)
            _log.warning("The plugin %s can't be used", entry_point.name, exc_info=True)
    return plugins


def price_sources() -> list[PriceSource]:
    """All price sources, the one that wins first."""
    found: list[PriceSource] = _collect(manager().hook.register_price_sources)
    return sorted(found, key=lambda source: (-source.priority, source.name))


def importers() -> dict[str, Importer]:
    """All file formats, by name. A plugin may replace a built-in one: it is registered later, so asked first."""
    found: list[Importer] = _collect(manager().hook.register_importers)
    return {importer.name: importer for importer in reversed(found)}


def sinks() -> list[Sink]:
    """All sinks, in the order in which they are asked whether they accept a destination: plugins first."""
    return _collect(manager().hook.register_sinks)


def notifiers() -> dict[str, Notifier]:
    """All notifiers that have an address, by name. A plugin that fails here loses its own, and nobody else's."""
    found: list[Notifier] = []
    for offer in manager().hook.register_notifiers.get_hookimpls():
        try:
            offer.function(register=found.append)
        except Exception as error:  # its text may hold an address
            _log.warning("The notifiers of %s can't be used: %s", offer.plugin_name, type(error).__name__)
    return {notifier.name: notifier for notifier in found}


def _collect(hook: pluggy.HookCaller) -> list[Any]:
    """What is registered, the last plugin first. One that fails takes nothing from the others."""
    found: list[Any] = []
    for offer in reversed(hook.get_hookimpls()):
        try:
            offer.function(register=found.append)
        except Exception:  # a plugin is somebody else's code
            _log.warning("The plugin %s can't be used", offer.plugin_name, exc_info=True)
    return found
