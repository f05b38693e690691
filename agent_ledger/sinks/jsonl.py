"""Ship to a file of JSON lines: one object per row, and after each batch a line that says it is complete."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from agent_ledger.errors import LedgerError, SinkDown
from agent_ledger.hookspecs import Batch, Host, Sink, Target, hookimpl

_BEGINS = (b'{"table": ', b'{"complete": ')


class JsonLines:
    """A file for one ledger. Rows are appended; what a killed shipper left unfinished is cut off."""

    name = "JSON lines"
    form = "FILE.jsonl"
    batch_rows = 10_000

    def accepts(self, destination: str) -> bool:
        return destination.endswith(".jsonl")

    def address(self, destination: str) -> str:
        return str(Path(destination).absolute())

    def open(self, destination: str, host: Host) -> Target:
        return _File(Path(destination), host)


class _File:
    def __init__(self, path: Path, host: Host) -> None:
        self._host, self._done = str(host.number), dict[str, int]()
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise LedgerError(f"{path} can't be written: {error.strerror}") from error
        self._file.seek(0)
        end = 0
        for line in self._file:
            if not any(line.startswith(begin) or begin.startswith(line) for begin in _BEGINS):
                self._file.close()
                raise LedgerError(f"{path} is something else: give another file")
            if line.startswith(_BEGINS[1]) and line.endswith(b"}\n"):
                end = self._file.tell()
                self._done |= json.loads(line)["complete"].get(self._host, {})
        self._file.truncate(end)

    def write(self, batch: Batch) -> None:
        if batch.last > self._done.get(batch.table, 0):
            self._append(batch, {"table": batch.table}, {batch.table: batch.last})

    def replace(self, batch: Batch) -> None:
        self._append(batch, {"table": batch.table, "of": batch.last}, {})

    def settle(self) -> None:
        pass

    def close(self) -> None:
        self._file.close()

    def _append(self, batch: Batch, told: dict[str, object], done: dict[str, int]) -> None:
        lines = [{**told, **dict(zip(batch.columns, row, strict=True))} for row in batch.rows]
        text = "".join(f"{json.dumps(line)}\n" for line in [*lines, {"complete": {self._host: done}}])
        try:
            self._file.write(text.encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise SinkDown(f"{self._file.name} can't be written: {error.strerror}") from error
        self._done |= done


@hookimpl
def register_sinks(register: Callable[[Sink], None]) -> None:
    """Offer this sink."""
    register(JsonLines())
