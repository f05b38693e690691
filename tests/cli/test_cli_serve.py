"""`agent-ledger serve`: a real server in a process of its own, on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import call

from agent_ledger import Ledger
from agent_ledger.cli import cli

pytest.importorskip("datasette", reason="the extra datasette is not installed")


@contextmanager
def serving(path: Path) -> Iterator[str]:
    """The address that the command prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "agent_ledger", "serve", str(path), "--port", "0"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split(" ")[0]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        process.stdout.close()  # type: ignore[union-attr]


def status(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_the_ledger_is_shown_and_neither_downloaded_nor_changed(ledger: Ledger) -> None:
    """It is in WAL mode, and written to while it is shown."""
    ledger.record_call(**call(agent_id="seen"))
    with serving(ledger.path) as address:
        assert address.endswith("/ledger/-/ledger")
        host = address.removesuffix("/ledger/-/ledger")
        assert host.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=20) as page:
            assert "seen" in page.read().decode()
        ledger.record_call(**call(agent_id="later", request_id="later"))
        with urllib.request.urlopen(address, timeout=20) as page:
            assert "later" in page.read().decode()
        assert status(f"{host}/ledger.db") == 403
        assert status(f"{host}/_memory") == 404
        with urllib.request.urlopen(f"{host}/ledger.json", timeout=20) as answer:
            assert answer.status == 200


def test_what_can_not_be_served_is_said_in_one_sentence(tmp_path: Path, ledger: Ledger) -> None:
    missing = CliRunner().invoke(cli, ["serve", str(tmp_path / "none.db")])
    assert missing.exit_code == 2
    assert "does not exist" in missing.output
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        busy = CliRunner().invoke(cli, ["serve", str(ledger.path), "--port", str(port)])
    assert busy.exit_code == 1
    assert f"port {port} can't be used" in busy.output


def test_without_the_extra_it_says_what_to_install(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasette", None)
    found = CliRunner().invoke(cli, ["serve", str(ledger.path)])
    assert found.exit_code == 1
    assert "pip install 'agent-cost-ledger[datasette]'" in found.output
