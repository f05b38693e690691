from __future__ import annotations

import importlib
import importlib.util
import itertools
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from agent_ledger.capture.on_import import when_imported

_numbers = itertools.count()


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that nobody has imported yet."""
    found = f"imported_later_{next(_numbers)}"
    (tmp_path / f"{found}.py").write_text("made = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    return found


class Action:
    def __init__(self) -> None:
        self.done: list[object] = []

    def __call__(self, module: ModuleType) -> Callable[[], None]:
        self.done.append(module.made)
        return lambda: self.done.append("undone")


def test_it_waits_for_the_import(name: str) -> None:
    action, finders = Action(), list(sys.meta_path)
    undo = when_imported(name, action)
    assert importlib.util.find_spec(name)  # looking is not importing
    assert action.done == []
    module = importlib.import_module(name)
    importlib.reload(module)
    assert action.done == [1]
    assert sys.meta_path == finders
    undo()
    undo()
    assert action.done == [1, "undone"]


def test_a_module_that_is_there_is_not_waited_for(name: str) -> None:
    importlib.import_module(name)
    action, finders = Action(), list(sys.meta_path)
    when_imported(name, action)()
    assert action.done == [1, "undone"]
    assert sys.meta_path == finders


def test_several_wait_for_the_same(name: str) -> None:
    actions = [Action(), Action(), Action()]
    undos = [when_imported(name, action) for action in actions]
    undos[1]()
    importlib.import_module(name)
    assert [action.done for action in actions] == [[1], [], [1]]


def test_a_module_that_is_not_there_stays_so() -> None:
    undo = when_imported("no_such_module_anywhere", Action())
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_module_anywhere")
    undo()


def test_what_the_action_raises_is_not_the_importers_problem(name: str, caplog: pytest.LogCaptureFixture) -> None:
    def action(module: ModuleType) -> Callable[[], None]:
        raise ValueError(module)

    with caplog.at_level(logging.WARNING, "agent_ledger"):
        undo = when_imported(name, action)
        assert importlib.import_module(name).made == 1
    assert "can't be observed" in caplog.text
    undo()
