from __future__ import annotations

import asyncio

import pytest

from agent_ledger import Ledger
from agent_ledger.capture.nesting import is_watched, watched


def test_only_the_ledger_that_watches_further_out_is_told(ledger: Ledger) -> None:
    other = object()
    assert not is_watched(ledger)
    with watched(ledger):
        assert is_watched(ledger)
        assert not is_watched(other)  # type: ignore[arg-type]
        with watched(other):  # type: ignore[arg-type]
            assert is_watched(ledger)
            assert is_watched(other)  # type: ignore[arg-type]
    assert not is_watched(ledger)


def test_an_error_ends_it(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="x"), watched(ledger):
        raise ValueError("x")
    assert not is_watched(ledger)


def test_neighbours_are_not_touched(ledger: Ledger) -> None:
    async def watching() -> None:
        with watched(ledger):
            await asyncio.sleep(0.01)

    async def asking() -> None:
        await asyncio.sleep(0.005)
        assert not is_watched(ledger)

    async def run() -> None:
        await asyncio.gather(watching(), asking())

    asyncio.run(run())
