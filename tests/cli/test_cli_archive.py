"""`agent-ledger show`, `check` and `import` of a ledger whose old rows are archived."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from old_rows import archive, past
from support import price, query

from agent_ledger import Ledger, plugins


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, ledger: Ledger, tmp_path: Path, read: Any) -> dict[str, Any]:
    """What `show` said of each request before it was archived, and of some that stayed."""
    monkeypatch.setattr(plugins, "price_sources", list)
    rows = past(ledger)
    said = {row["request_id"]: read("show", ledger.path, row["request_id"]) for row in rows[::8]}
    archive(ledger, tmp_path / "archive")
    return said


def gone(ledger: Ledger, asked: dict[str, Any]) -> list[str]:
    there = {row[0] for row in query(ledger, "select request_id from ledger")}
    return [request for request in asked if request not in there]


def test_an_archived_request_is_shown_as_before(ledger: Ledger, asked: dict[str, Any], read: Any, run: Any) -> None:
    assert len(gone(ledger, asked)) > 10
    for request, said in asked.items():
        assert read("show", ledger.path, request) == said
    with_tools = [request for request in gone(ledger, asked) if asked[request]["tool_calls"]]
    assert "Tool calls" in run("show", ledger.path, with_tools[0]).stdout


def test_it_costs_what_it_costs_now(ledger: Ledger, asked: dict[str, Any], read: Any) -> None:
    request = next(name for name in gone(ledger, asked) if asked[name]["calls"][0]["model"] == "long")
    (call,) = asked[request]["calls"]
    ledger.set_prices([price("long", input=7_000_000, output=7_000_000)])
    expected = 7 * (call["prompt_tokens"] + call["completion_tokens"]) / 10**6
    assert read("show", ledger.path, request)["llm_usd"] == pytest.approx(expected, abs=1e-12)
    moment = query(ledger, "select min(recorded_at) from price_revision")[0][0]
    assert read("show", ledger.path, request, "--as-of", moment) == asked[request]


def test_a_file_that_is_missing(
    ledger: Ledger, asked: dict[str, Any], tmp_path: Path, refused: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = gone(ledger, asked)[0]
    assert run("check", ledger.path).stdout.count("archive") == 0
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pyarrow", None)
        assert "the archive was not asked, because the archive needs pyarrow" in refused(
            1, "show", ledger.path, request
        )
        assert "What is archived of it is not shown" in run("show", ledger.path, "newest").stderr
    for path in (tmp_path / "archive").iterdir():
        path.unlink()
    assert "is not there" in refused(1, "show", ledger.path, request)
    found = run("check", ledger.path)
    assert found.exit_code == 1
    assert "it is not there, with" in found.stdout


def test_importing_says_what_is_archived(
    ledger: Ledger, asked: dict[str, Any], tmp_path: Path, run: Any, read: Any
) -> None:
    log = tmp_path / "log.jsonl"
    row = asked[gone(ledger, asked)[0]]["calls"][0]
    kept = ("ts", "agent_id", "request_id", "prompt_tokens", "completion_tokens", "model", "response_id")
    log.write_text(json.dumps({name: row[name] for name in kept}))
    result = run("import", ledger.path, "jsonl", log)
    assert result.exit_code == 0
    assert "0 added, 1 already there (1 of them archived), 0 refused" in result.stdout
    assert read("import", ledger.path, "jsonl", log)["archived"] == 1
