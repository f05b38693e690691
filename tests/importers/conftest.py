"""What the tests of all importers share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent_ledger.hookspecs import Defaults, Importer
from agent_ledger.records import Call, Fact, Refused, ToolCall

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples"


class Read:
    """Everything that an importer makes of a path."""

    def __init__(self, importer: Importer, path: Path, defaults: Defaults) -> None:
        self.files = importer.files(path)
        self.bytes_read = 0
        self.facts: list[Fact] = []
        for file in self.files:
            self.facts.extend(importer.read(file, defaults, self._advance))

    def _advance(self, count: int) -> None:
        self.bytes_read += count

    @property
    def calls(self) -> list[Call]:
        return [fact for fact in self.facts if isinstance(fact, Call)]

    @property
    def tool_calls(self) -> list[ToolCall]:
        return [fact for fact in self.facts if isinstance(fact, ToolCall)]

    @property
    def refused(self) -> list[Refused]:
        return [fact for fact in self.facts if isinstance(fact, Refused)]

    @property
    def reasons(self) -> list[tuple[int | None, str]]:
        return [(fact.line, fact.reason) for fact in self.refused]


@pytest.fixture
def read() -> Callable[..., Read]:
    """`read(importer, path, agent_id=…)`."""
    return lambda importer, path, **defaults: Read(importer, path, Defaults(**defaults))


@pytest.fixture
def samples() -> Path:
    """The recorded data beside the checkout, which is not part of it."""
    if not SAMPLES.is_dir():
        pytest.skip(f"the samples are not there: {SAMPLES}")
    return SAMPLES
