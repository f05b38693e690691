"""What the tests of the command line share: running it, and a small ledger whose prices nobody else sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agent_ledger import Ledger, PriceRevision
from agent_ledger.cli import cli

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples"

Run = Callable[..., Result]

PRICES = [
    PriceRevision(model="cheap", source="contract", basis="contract", input=1_000_000, output=2_000_000),
    PriceRevision(model="dear", source="contract", basis="contract", input=10_000_000, output=50_000_000),
]

CALLS: list[dict[str, Any]] = [
    {"request_id": "r1", "agent_id": "reader", "model": "cheap", "ts": "2026-01-31T22:30:00Z", "customer_id": "acme"},
    {"request_id": "r2", "agent_id": "reader", "model": "cheap", "ts": "2026-01-31T23:30:00Z"},
    {"request_id": "r3", "agent_id": "writer", "model": "dear", "ts": "2026-02-01T00:00:00Z", "customer_id": "acme"},
    {"request_id": "r4", "agent_id": "writer", "model": "nobody-knows-it", "ts": "2026-02-02T12:00:00Z"},
    {"request_id": "r5", "agent_id": "=cmd()", "model": "dear", "ts": "2026-02-28T23:59:59.999Z"},
]


@pytest.fixture
def run() -> Run:
    """`run("report", path, …)`. Whatever happens, nobody sees a traceback; errors are one line."""

    def invoke(*arguments: object, **extra: Any) -> Result:
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="agent-ledger", **extra)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    return invoke


@pytest.fixture
def refused(run: Run) -> Callable[..., str]:
    """`refused(2, "report", …)`: the sentence with which the command ends."""

    def invoke(exit_code: int, *arguments: object) -> str:
        result = run(*arguments)
        assert result.exit_code == exit_code, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1
        return result.stderr.removeprefix("Error: ").strip()

    return invoke


@pytest.fixture
def read(run: Run) -> Callable[..., Any]:
    """`read("report", …)`: what --json prints."""

    def invoke(*arguments: object) -> Any:
        result = run(*arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return invoke


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A ledger of five calls, one of them without a price."""
    path = tmp_path / "book.db"
    with Ledger(path) as ledger:
        ledger.set_prices(PRICES)
        ledger.record_calls({"prompt_tokens": 1_000_000, "completion_tokens": 100_000, **call} for call in CALLS)
        ledger.assign("reader", team="library")
    return path


@pytest.fixture
def samples() -> Path:
    """The recorded data beside the checkout, which is not part of it."""
    if not SAMPLES.is_dir():
        pytest.skip(f"the samples are not there: {SAMPLES}")
    return SAMPLES
