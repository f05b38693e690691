"""Running an importer: a file as a whole or not at all, and every record accounted for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from support import NOON, query

from agent_ledger import Call, Defaults, ImportFailed, Ledger, ToolCall, importing
from agent_ledger.records import Fact, Refused

pytestmark = pytest.mark.usefixtures("no_sources")


class Told:
    """An importer that gives the facts it was told."""

    name = "told"
    summary = "told"

    def __init__(self, *facts: Fact, error: Exception | None = None) -> None:
        self.facts, self.error = facts, error

    def files(self, path: Path) -> Sequence[Path]:
        return [path]

    def read(self, file: Path, defaults: Defaults, advance: Callable[[int], None]) -> Iterator[Fact]:  # noqa: ARG002
        for fact in self.facts:
            advance(1)
            yield fact
        if self.error is not None:
            raise self.error


def fact(number: int, tokens: int | None = 1) -> Call:
    return Call(agent_id="a", request_id=str(number), model="m", prompt_tokens=tokens, completion_tokens=1, ts=NOON)


TOOL = ToolCall(tool="t", request_id="1", tool_call_id="tc", ts=NOON)


def test_every_record_is_accounted_for(ledger: Ledger, tmp_path: Path) -> None:
    told = Told(fact(1), Refused(2, "not JSON"), fact(3, -1), fact(1), TOOL, Refused(1, "no tokens"), TOOL)
    advanced: list[int] = []
    imported = ledger.import_file(told, tmp_path / "f", advance=advanced.append)
    assert (imported.added, imported.already_there, imported.read) == (2, 2, 7)
    assert sum(advanced) == 7
    assert sorted(str(refused.line) for refused in imported.refused) == ["1", "2", "None"]
    assert any("prompt_tokens is -1" in refused.reason for refused in imported.refused)
    assert query(ledger, "select count(*) from ledger") == [(1,)]


def test_importing_again_adds_nothing(ledger: Ledger, tmp_path: Path) -> None:
    told = Told(fact(1), fact(2), TOOL)
    assert ledger.import_file(told, tmp_path / "f").added == 3
    again = ledger.import_file(told, tmp_path / "f")
    assert (again.added, again.already_there, again.refused) == (0, 3, [])


@pytest.mark.parametrize("error", [ImportFailed("cut off"), KeyboardInterrupt(), ValueError("bug")])
def test_a_file_that_fails_leaves_nothing(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(importing, "_CHUNK", 2)
    with pytest.raises(type(error)):
        ledger.import_file(Told(*(fact(number) for number in range(7)), error=error), tmp_path / "f")
    assert query(ledger, "select count(*) from ledger") == [(0,)]
    assert ledger.import_file(Told(fact(1)), tmp_path / "f").added == 1


def test_chunks_do_not_show(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_CHUNK", 3)
    assert ledger.import_file(Told(*(fact(number) for number in range(10))), tmp_path / "f").added == 10
