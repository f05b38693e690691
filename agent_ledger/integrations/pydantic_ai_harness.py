"""Counters of pydantic-ai-harness' `SpendLimits` in the ledger file, shared by all processes that open it.

    limits = SpendLimits(budgets=[Budget(usd=Decimal(100), window="day")], store=LedgerSpendStore("ledger.db"))

They are what SpendLimits knows of its own requests, and no figure of the ledger's: record the calls too, by
`ledger.instrument`, and the two can be compared. Written for pydantic-ai-harness 0.62.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

try:
    from pydantic_ai_harness.spend import SpendEntry, Spent
except ImportError as error:
    raise ImportError(
        "agent_ledger.integrations.pydantic_ai_harness needs pydantic-ai-harness: "
        "pip install 'agent-cost-ledger[pydantic-ai]'"
    ) from error

from agent_ledger import clock, money
from agent_ledger.connection import Writer

_ADD = """
insert into spend_counter (key, usd_picos, tokens, requests, unpriced_requests, expires_at) values (?, ?, ?, ?, ?, ?)
on conflict (key) do update set
  usd_picos = usd_picos + excluded.usd_picos,
  tokens = tokens + excluded.tokens,
  requests = requests + excluded.requests,
  unpriced_requests = unpriced_requests + excluded.unpriced_requests,
  expires_at = excluded.expires_at
"""
_READ = "select usd_picos, tokens, requests, unpriced_requests from spend_counter where key = ?"
_LIVE = " and (expires_at is null or expires_at > ?)"


class LedgerSpendStore:
    """A `BatchSpendStore`: every window of a response is counted, or none.

    `path` is the ledger file. A response with a token that was seen within `dedup_retain` (None: never asked) is
    counted once. `now` tells the time. Raises LedgerError where the file can't be written, which ends the run.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        dedup_retain: timedelta | None = timedelta(hours=1),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._writer = Writer(Path(path), synchronous="normal")
        self._dedup_retain = dedup_retain
        self._now = now

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, Spent]:
        """What each key has accumulated; nothing, for one that is not there or has expired."""
        return await asyncio.to_thread(self._get, keys)

    async def add_many(self, entries: Sequence[SpendEntry]) -> Mapping[str, Spent]:
        """Add all entries in one transaction. Returns the new total of each key."""
        return await asyncio.to_thread(self._add, entries)

    def _get(self, keys: Sequence[str]) -> dict[str, Spent]:
        now = clock.timestamp(self._now())
        with self._writer.transaction() as connection:
            return {key: _spent(connection.execute(_READ + _LIVE, [key, now]).fetchone()) for key in keys}

    def _add(self, entries: Sequence[SpendEntry]) -> dict[str, Spent]:
        now = self._now()
        with self._writer.transaction() as connection:
            connection.execute("delete from spend_counter where expires_at <= ?", [clock.timestamp(now)])
            connection.execute("delete from spend_token where until <= ?", [clock.timestamp(now)])
            for entry in entries:
                if self._is_new(connection, entry, now):
                    connection.execute(
                        _ADD,
                        [
                            entry.key,
                            money.picos(entry.usd),
                            entry.tokens,
                            entry.requests,
                            entry.unpriced,
                            None if entry.ttl is None else clock.timestamp(now + entry.ttl),
                        ],
                    )
            return {entry.key: _spent(connection.execute(_READ, [entry.key]).fetchone()) for entry in entries}

    def _is_new(self, connection: sqlite3.Connection, entry: SpendEntry, now: datetime) -> bool:
        if entry.token is None or self._dedup_retain is None:
            return True
        # Never longer than the counter: else what comes again would be missing in the one that follows it.
        kept = self._dedup_retain if entry.ttl is None else min(self._dedup_retain, entry.ttl)
        added = connection.execute(
            "insert or ignore into spend_token (key, token, until) values (?, ?, ?)",
            [entry.key, entry.token, clock.timestamp(now + kept)],
        )
        return added.rowcount == 1


def _spent(row: tuple[int, int, int, int] | None) -> Spent:
    if row is None:
        return Spent()
    picos, tokens, requests, unpriced = row
    return Spent(usd=money.dollars(picos), tokens=tokens, requests=requests, unpriced_requests=unpriced)
