"""Budgets, the policy and the loop from the shell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support import query

from agent_ledger import Ledger
from agent_ledger.cli import cli


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def told(*words: object) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def path(ledger: Ledger) -> Path:
    return ledger.path


def test_a_budget_is_set_listed_shown_excepted_and_ended(path: Path) -> None:
    set_ = told(
        "budget", path, "set", "--agent", "a", "--limit", "12.50", "--period", "month", "--on-breach", "throttle",
        "--throttle-to", "claude-sonnet-*=small", "--throttle-to", "tiny", "--steps", "50%,90", "--hard-cap", "150",
        "--tier", "high", "--tz", "Europe/Berlin", "--by", "ana",
    )  # fmt: skip
    assert set_ == "budget agent a per month: 12.50 USD per month, then throttle\n"
    [row] = json.loads(told("budget", path, "list", "--json"))
    assert json.loads(row["throttle_to"]) == {"claude-sonnet-*": "small", "*": "tiny"}
    assert (row["steps"], row["hard_percent"], row["zone"], row["tier"]) == ("[50, 90]", 150, "Europe/Berlin", "high")
    [status] = json.loads(told("budget", path, "status", "--json"))
    names = ["scope", "key", "period", "limit_usd", "spent_usd", "forecast_usd", "used_share", "state"]
    assert list(status)[:8] == names
    assert (status["limit_usd"], status["spent_usd"], status["state"]) == (12.5, 0.0, "ok")
    assert "0.0%" in told("budget", path, "status")
    assert told("budget", path, "except", "a", "--until", "2999-01-01", "--by", "ana").startswith(
        "budget agent a per month"
    )
    assert json.loads(told("budget", path, "status", "--json"))[0]["exception_by"] == "ana"
    told("budget", path, "except", "a", "--revoke", "--by", "ana")
    assert run("budget", path, "except", "a", "--revoke", "--by", "ana").exit_code == 1
    told("budget", path, "end", "agent a per month", "--reason", "done")
    assert "has no budgets" in told("budget", path, "status")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--limit", "1", "--period", "day"], 2, "give one of --agent, --team"),
        (["--agent", "a", "--team", "t", "--limit", "1", "--period", "day"], 2, "give one of --agent"),
        (["--agent", "a", "--period", "day"], 2, "give --limit or --tokens"),
        (["--agent", "a", "--limit", "1", "--period", "year"], 2, "year"),
        (["--agent", "a", "--limit", "1", "--period", "day", "--on-breach", "throttle"], 2, "needs --throttle-to"),
        (["--agent", "a", "--limit", "1", "--period", "day", "--throttle-to", "a="], 2, "give MODEL, or PATTERN=MODEL"),
        (["--agent", "a", "--limit", "1", "--period", "day", "--steps", "half"], 2, "give percentages"),
        (["--agent", "a", "--limit", "much", "--period", "day"], 1, "limit is 'much': give an amount"),
        (["--agent", "a", "--limit", "1", "--period", "day", "--tz", "Mars"], 1, "give an IANA time zone"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_sentence(path: Path, words: list[str], code: int, message: str) -> None:
    result = run("budget", path, "set", *words)
    assert result.exit_code == code
    assert message in result.output
    assert query(path, "select * from budget") == []


def test_a_mistyped_ledger_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    for words in (
        ["budget", missing, "set", "--agent", "a", "--limit", "1", "--period", "day"],
        ["loop", missing, "--once"],
    ):
        assert run(*words).exit_code == 2
    assert not missing.exists()


def test_a_policy_is_loaded_and_listed(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('[[rule]]\nname = "night"\nhours = "22:00-07:00"\naction = "nothing"\n')
    assert told("policy", path, "load", file) == "1 rule; new, changed or ended: night\n"
    assert told("policy", path, "load", file) == "1 rule; nothing changed\n"
    assert "night" in told("policy", path, "list")
    file.write_text("[[rule]]\nname = 3\n")
    assert run("policy", path, "load", file).exit_code == 1
    assert "has no rules" not in told("policy", path, "list")


def test_the_loop_ticks_once_and_explains(path: Path) -> None:
    told("budget", path, "set", "--agent", "a", "--tokens", "100", "--period", "day")
    told("record", path, "--agent-id", "a", "--request-id", "r", "--model", "m", "--prompt-tokens", "90",
         "--completion-tokens", "20")  # fmt: skip
    dry = told("loop", path, "--dry-run")
    assert "agent a has spent 110 tokens of 100 tokens (110%)" in dry
    assert "notify, as the budget itself says" in dry
    assert query(path, "select * from control_event") == []
    answer = json.loads(told("loop", path, "--once", "--json"))
    assert (answer["budgets"], answer["found"], answer["events"]) == (1, 1, 3)
    assert run("loop", path).exit_code == 2
    assert run("loop", path, "--every", "soon").exit_code == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_service_ends_cleanly_and_gives_its_lease_back(path: Path, number: int) -> None:
    told("budget", path, "set", "--agent", "a", "--tokens", "100", "--period", "day")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_LEDGER")}
    service = subprocess.Popen(
        [sys.executable, "-m", "agent_ledger", "loop", str(path), "--every", "1s"], env=environment
    )
    try:
        deadline = time.monotonic() + 60
        while not query(path, "select * from loop_lease") and time.monotonic() < deadline:
            time.sleep(0.05)
        other = json.loads(told("loop", path, "--once", "--json"))
        assert other["held_by"].split(":")[1] == str(service.pid)
    finally:
        service.send_signal(number)
        assert service.wait(timeout=60) == 0
    assert query(path, "select * from loop_lease") == []
