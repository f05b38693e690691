"""A real Datasette with the demo ledger, and a real browser that reaches nothing but it.

`screenshots.py` uses these too, without pytest.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent_ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # root in a container has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def demo_ledger(folder: Path) -> Path:
    """A copy of demo.db with the views of this checkout."""
    path = folder / "demo.db"
    shutil.copy(ROOT / "demo.db", path)
    Ledger(path).close()
    return path


@contextmanager
def served(*ledgers: Path) -> Iterator[str]:
    """The address of a Datasette that has the ledgers open, on loopback, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "datasette", *map(str, ledgers), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--setting", "sql_time_limit_ms", "20000"]  # a busy machine must not change what is shown
    log = ledgers[0].with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "PYTHONWARNINGS": "ignore"})
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address, process, log)
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/-/versions.json", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"Datasette did not start: {log.read_text('utf-8', 'replace')}")


class Watch:
    """What a page did that it must not: other hosts, errors in the console, dialogs, server errors."""

    def __init__(self, context: Any) -> None:
        self.wrong: list[str] = []
        context.route("**/*", self._local_only)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.wrong.append(f"error: {error.error}"))
        context.on("dialog", self._asked)
        context.on("response", self._answered)

    def _local_only(self, route: Any) -> None:
        if urlsplit(route.request.url).hostname in ("127.0.0.1", None):
            route.continue_()
        else:
            self.wrong.append(f"left the machine: {route.request.url}")
            route.abort()

    def _said(self, message: Any) -> None:
        refused = "the server responded with a status of 400" in message.text  # what is said of bad input
        if message.type in ("error", "warning") and not refused:
            self.wrong.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _asked(self, dialog: Any) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _answered(self, response: Any) -> None:
        if response.status >= 500:
            self.wrong.append(f"{response.status}: {response.url}")
