"""Does something to a module as soon as it is imported: importing an SDK that nobody uses would take half a second."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_log = logging.getLogger("agent_ledger")
Undo = Callable[[], None]


def when_imported(name: str, action: Callable[[ModuleType], Undo]) -> Undo:
    """Call `action` with the module `name`: now if it is imported, else right after it will be. Returns what undoes the
    action, or cancels it. What `action` raises is logged."""
    finder = _Finder(name, action)
    sys.meta_path.insert(0, finder)
    module = sys.modules.get(name)
    if module is not None:
        finder.act(module)
    return finder.undo


class _Finder(MetaPathFinder):
    """Finds nothing by itself: it only adds the action to what the others find."""

    def __init__(self, name: str, action: Callable[[ModuleType], Undo]) -> None:
        self._name = name
        self._action: Callable[[ModuleType], Undo] | None = action
        self._undo: Undo | None = None
        self._asking = False

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname != self._name or self._asking:
            return None
        self._asking = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asking = False
        if spec is not None and spec.loader is not None:
            self._extend(spec.loader)
        return spec

    def _extend(self, loader: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self.act(module)

        loader.exec_module = exec_module  # of this one object, which is this module's alone

    def act(self, module: ModuleType) -> None:
        """Do it, once."""
        self._withdraw()
        action, self._action = self._action, None
        if action is None:
            return
        try:
            self._undo = action(module)
        except Exception:
            _log.warning("%s can't be observed", self._name, exc_info=True)

    def undo(self) -> None:
        """Undo what was done; if it was not done yet, it won't be."""
        self._withdraw()
        self._action = None
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def _withdraw(self) -> None:
        with suppress(ValueError):
            sys.meta_path.remove(self)
