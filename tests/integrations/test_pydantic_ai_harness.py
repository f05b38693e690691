"""The spend store against the one that pydantic-ai-harness ships, and under its real `SpendLimits`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import empty_file, exit_code, start_child

spend = pytest.importorskip("pydantic_ai_harness.spend", reason="pydantic-ai-harness is not installed")

from agent_ledger import Ledger  # noqa: E402
from agent_ledger.integrations.pydantic_ai_harness import LedgerSpendStore  # noqa: E402

START = datetime(2026, 1, 15, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LedgerSpendStore]:
    opened = LedgerSpendStore(tmp_path / "ledger.db")
    yield opened
    opened.close()


def test_it_is_what_spend_limits_wants(store: LedgerSpendStore) -> None:
    assert isinstance(store, spend.BatchSpendStore)


ENTRIES = st.builds(
    spend.SpendEntry,
    key=st.sampled_from(["day", "month"]),
    usd=st.decimals(min_value=-5, max_value=5, places=9),
    tokens=st.integers(0, 1000),
    requests=st.integers(0, 2),
    unpriced=st.integers(0, 1),
    ttl=st.sampled_from([None, timedelta(minutes=5), timedelta(hours=3)]),
    token=st.sampled_from([None, "a", "b"]),
)
STEPS = st.lists(st.tuples(st.integers(0, 120), st.lists(ENTRIES, min_size=1, max_size=3)), max_size=12)


@given(STEPS)
@settings(max_examples=30)
def test_it_counts_like_the_store_that_comes_with_the_harness(steps: list[tuple[int, list[Any]]]) -> None:
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        path.write_bytes(empty_file())
        ours, theirs = LedgerSpendStore(path, now=clock), spend.InMemorySpendStore(clock=clock)
        for minutes, entries in steps:
            clock.moment += timedelta(minutes=minutes)
            assert asyncio.run(ours.add_many(entries)) == asyncio.run(theirs.add_many(entries))
            keys = ["day", "month", "never"]
            assert asyncio.run(ours.get_many(keys)) == asyncio.run(theirs.get_many(keys))
        ours.close()


def test_several_processes_share_the_counters(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).close()

    def work() -> None:
        store = LedgerSpendStore(path)
        for _ in range(50):
            asyncio.run(store.add_many([spend.SpendEntry(key="k", usd=Decimal("0.001"), tokens=3, requests=1)]))
        store.close()

    children = [start_child(work) for _ in range(4)]
    assert [exit_code(child) for child in children] == [0] * 4
    store = LedgerSpendStore(path)
    assert asyncio.run(store.get_many(["k"]))["k"] == spend.Spent(usd=Decimal("0.2"), tokens=600, requests=200)
    store.close()


def test_spend_limits_refuses_the_next_request_also_in_a_new_process(store: LedgerSpendStore, tmp_path: Path) -> None:
    from pydantic_ai import Agent
    from pydantic_ai.models.test import TestModel

    def agent(store: LedgerSpendStore) -> Any:
        limits = spend.SpendLimits(
            budgets=[spend.Budget(usd=Decimal("0.02"), window="day")], store=store, price=lambda *_: Decimal("0.01")
        )
        return Agent(TestModel(), capabilities=[limits])

    agent(store).run_sync("one")
    agent(store).run_sync("two")
    store.close()
    again = LedgerSpendStore(tmp_path / "ledger.db")
    with pytest.raises(spend.SpendLimitExceeded):
        agent(again).run_sync("three")
    again.close()


def test_without_the_harness_the_import_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['pydantic_ai_harness.spend'] = None\n"
        "import agent_ledger.integrations.pydantic_ai_harness"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'agent-cost-ledger[pydantic-ai]'" in done.stderr
