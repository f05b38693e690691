"""The README tells the truth: its commands run, its code runs, its tables are complete."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from replay import Answer, Replay, Request, anthropic_message, anthropic_stream

from agent_ledger import Ledger
from agent_ledger.cli import cli
from agent_ledger.plugins import importers, manager
from agent_ledger.schema import scripts
from agent_ledger.shipping import Shipper

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
TRANSCRIPT = {
    "type": "assistant",
    "timestamp": "2026-11-01T10:00:00.000Z",
    "sessionId": "s1",
    "requestId": "req_011",
    "cwd": "/home/mia/shop",
    "message": {
        "id": "msg_011",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "output_tokens": 5},
    },
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    """Those that end by themselves."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith(("agent-ledger", "sqlite3")) and " serve " not in line]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with demo.db and a home with one transcript, to run what the README says in."""
    if not (ROOT / "demo.db").exists():
        pytest.skip("demo.db is only in a checkout")
    shutil.copy(ROOT / "demo.db", tmp_path)
    project = tmp_path / ".claude" / "projects" / "shop"
    project.mkdir(parents=True)
    (project / "s1.jsonl").write_text(json.dumps(TRANSCRIPT) + "\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str) -> str:
    words = shlex.split(command)
    words = [word.replace("~", str(Path.cwd()), 1) if word.startswith("~/") else word for word in words]
    if words[0] == "sqlite3":
        connection = sqlite3.connect(words[1])
        found = connection.execute(words[2]).fetchall()
        connection.close()
        assert found
        return str(found)
    done = subprocess.run(
        [sys.executable, "-m", "agent_ledger", *words[1:]], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def code(word: str) -> str:
    """The one example in Python that has this word."""
    [found] = [block for block in blocks("python") if word in block]
    return found


@pytest.mark.usefixtures("home")
def test_the_first_example_records_two_agents_a_customer_a_stream_and_two_tool_calls() -> None:
    pytest.importorskip("anthropic")

    def answer(request: Request) -> Answer:
        if request.json.get("stream"):
            return Answer.sse(anthropic_stream("msg_01streamstreamstreamstream"), request_id="req_streamed")
        return Answer.json(anthropic_message(), request_id="req_open_invoices")

    with Replay(answer) as server:
        provider = {**os.environ, "ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": "x"}
        done = subprocess.run([sys.executable, "-c", code("instrument(")], capture_output=True, text=True, env=provider)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["Paid.", "fraud-classifier 1 0.0081", "invoice-reconciler 1 0.0081"]
    by_agent, by_customer = (
        json.loads(run(f"agent-ledger report ledger.db --by {axis} --json")) for axis in ("agent", "customer")
    )
    assert {(row["agent_id"], row["calls"]) for row in by_agent} == {("fraud-classifier", 1), ("invoice-reconciler", 1)}
    assert {row["customer_id"] for row in by_customer} == {"acme", "(unattributed)"}
    shown = json.loads(run("agent-ledger show ledger.db req_open_invoices --json"))
    assert [row["customer_id"] for row in shown["calls"]] == ["acme"]
    assert [row["resource_id"] for row in shown["tool_calls"]] == ["invoices-bucket"] * 2
    assert len(code("instrument(").strip().splitlines()) <= 20


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(("word", "package"), [("TracerProvider()", "opentelemetry.sdk"), ("FastMCP(", "fastmcp")])
def test_the_examples_of_other_observers_run(word: str, package: str) -> None:
    pytest.importorskip(package)
    done = subprocess.run([sys.executable, "-c", code(word)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("home")
def test_the_example_of_a_runtime_of_its_own_runs() -> None:
    done = subprocess.run([sys.executable, "-c", code("ledger.reserve(")], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "go on with claude-sonnet-5\n", "")


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_the_code_and_the_commands_run_in_their_order() -> None:
    done = subprocess.run([sys.executable, "-c", code("record_tool_call(")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "'agent_id': 'fraud-classifier', 'calls': 1" in done.stdout
    assert "0.0081" in done.stdout
    said = {command: run(command) for command in commands()}
    assert len(said) >= 14
    assert "payments" in said["agent-ledger report ledger.db --by team"]
    assert "get_object" in said["agent-ledger show ledger.db req_1"]
    assert "claude-sonnet-4-5-20250929" in said["agent-ledger report ledger.db --by model"]


@pytest.mark.usefixtures("home")
def test_the_first_command_prints_what_the_readme_shows() -> None:
    [command] = re.findall(r"^python -m pip install \. && (agent-ledger .*)$", README, re.MULTILINE)
    [shown] = re.findall(r"```\n(agent id .*?)```", README, re.DOTALL)
    assert run(command) == shown


def test_the_plugin_example_is_a_price_source() -> None:
    scope: dict[str, object] = {}
    exec(code("register_price_sources"), scope)
    found: list[object] = []
    scope["register_price_sources"](found.append)  # type: ignore[operator]
    [row] = found[0].prices("vllm", "m")  # type: ignore[attr-defined]
    assert (row.input, row.output) == (150_000, 600_000)


def test_the_other_plugin_example_is_a_sink(ledger: Ledger, tmp_path: Path) -> None:
    scope: dict[str, object] = {}
    exec(code("register_sinks"), scope)
    plugin = SimpleNamespace(register_sinks=scope["register_sinks"])
    manager().register(plugin)
    try:
        ledger.record_call(agent_id="a", request_id="r", model="m", prompt_tokens=1, completion_tokens=1)
        file = tmp_path / "out"
        with Shipper(ledger.path, f"lines:{file}") as shipper:
            rows = shipper.ship()
        assert [
            json.loads(line)["request_id"] for line in file.read_text().splitlines() if '"table": "ledger"' in line
        ] == ["r"]
        assert len(file.read_text().splitlines()) == rows
    finally:
        manager().unregister(plugin)


def test_there_is_one_test_command() -> None:
    after = README.split("<!-- test command -->")
    assert len(after) == 2
    assert after[1].splitlines()[2].startswith("python -m pip install -e '.[test]' && python -m pytest")


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_is_in_the_readme(name: str) -> None:
    assert f"| `agent-ledger {name}" in README


@pytest.mark.parametrize("name", sorted(scripts("views")))
def test_every_view_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", sorted(importers()))
def test_every_format_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README
