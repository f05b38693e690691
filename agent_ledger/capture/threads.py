"""Threads and executors that inherit the attribution, for programs that ask for it: by themselves they start empty."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any

from agent_ledger.attribution import detached, inherited

_lock = threading.Lock()
_asked_by: set[object] = set()
_undo: list[Callable[[], None]] = []


def propagate_everywhere() -> Callable[[], None]:
    """From now on, let every thread and every job of a thread pool have the attribution of where it was started.

    Other context variables stay as they would be. A thread that goes on to work for others, as that of a queue, keeps
    the attribution of who started it. Returns a function that undoes it. Doing it twice, and undoing it in any order
    and more than once, is harmless.
    """
    asker = object()
    with _lock:
        if not _asked_by:
            _undo.append(_patch())
        _asked_by.add(asker)

    def undo() -> None:
        with _lock:
            _asked_by.discard(asker)
            if not _asked_by and _undo:
                _undo.pop()()

    return undo


def _patch() -> Callable[[], None]:
    start: Any = threading.Thread.start
    submit: Any = ThreadPoolExecutor.submit
    active = True  # somebody may have wrapped ours when it is undone, and go on calling it

    @wraps(start)
    def start_here(thread: threading.Thread) -> None:
        if active:
            _let_inherit(thread)
        start(thread)

    @wraps(submit)
    def submit_here(pool: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if not active:
            return submit(pool, function, *args, **kwargs)
        # The pool's threads are everybody's: what inherits is the job.
        return detached(submit)(pool, inherited(function), *args, **kwargs)

    threading.Thread.start = start_here  # type: ignore[assignment, method-assign]
    ThreadPoolExecutor.submit = submit_here  # type: ignore[assignment, method-assign]

    def undo() -> None:
        nonlocal active
        active = False
        if threading.Thread.start is start_here:
            threading.Thread.start = start  # type: ignore[method-assign]
        if ThreadPoolExecutor.submit is submit_here:
            ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]

    return undo


def _let_inherit(thread: threading.Thread) -> None:
    own = vars(thread).get("run")
    run = thread.run
    inside = inherited(run)
    if inside is run:
        return

    def run_here() -> None:
        if own is None:
            del thread.run  # it would hold the thread, and with it the attribution, in a circle
        else:
            thread.run = own  # type: ignore[method-assign]
        inside()

    thread.run = run_here  # type: ignore[method-assign]
