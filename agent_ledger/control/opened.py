"""A ledger file that a part of the runtime opens when it first needs it, with a connection of its own."""

from __future__ import annotations

from pathlib import Path

from agent_ledger.connection import Writer
from agent_ledger.errors import LedgerError


class Opened:
    """The ledger at `path`, for all threads of a process. Waits at most `wait_s` seconds for others who write."""

    def __init__(self, path: Path, wait_s: float) -> None:
        self.path = path
        self._wait_s = wait_s
        self._writer: Writer | None = None

    def writer(self) -> Writer:
        """The connection. Raises LedgerError where the file can't be opened."""
        if self._writer is None:
            if not self.path.exists():  # or it would be made anew
                raise LedgerError(f"{self.path} was removed: open the ledger again")
            opened = Writer(self.path, synchronous="normal", timeout=self._wait_s)
            if self._writer is not None:  # another thread was faster
                opened.close()
            else:
                self._writer = opened
        return self._writer

    def close(self) -> None:
        """Closing twice is harmless; who asks for it again opens it again."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
