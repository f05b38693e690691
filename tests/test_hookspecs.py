from __future__ import annotations

import pluggy
import pytest

from agent_ledger import hookimpl, hookspecs
from agent_ledger.hookspecs import Defaults


@pytest.mark.parametrize("what", ["price_sources", "importers", "sinks", "notifiers"])
def test_hooks_of_the_contract_take_register(what: str) -> None:
    manager = pluggy.PluginManager("agent_ledger")
    manager.add_hookspecs(hookspecs)
    found: list[str] = []

    class Plugin:
        @hookimpl(specname=f"register_{what}")
        def offer(self, register: object) -> None:
            register("mine")  # type: ignore[operator]

    manager.register(Plugin())
    manager.check_pending()
    getattr(manager.hook, f"register_{what}")(register=found.append)
    assert found == ["mine"]


def test_a_hook_that_does_not_exist_is_noticed() -> None:
    manager = pluggy.PluginManager("agent_ledger")
    manager.add_hookspecs(hookspecs)

    class Plugin:
        @hookimpl
        def register_prizes(self, register: object) -> None:
            """A slip of the pen."""

    manager.register(Plugin())
    with pytest.raises(pluggy.PluginValidationError):
        manager.check_pending()


def test_commands_get_the_group() -> None:
    assert hasattr(hookspecs, "register_commands")


def test_defaults_leave_everything_open() -> None:
    assert Defaults() == Defaults(
        agent_id=None, customer_id=None, feature=None, session_id=None, provider=None, model=None, ts=None
    )
