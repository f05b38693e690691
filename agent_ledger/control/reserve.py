"""Reservations: calls that are under way count against hard caps before they have cost anything.

Checking a budget and then calling lets any number of parallel calls pass the check together. Here the check and the
reservation are one transaction, so that exactly as many are admitted as there is room for, in all processes together.
A process that ends without settling holds its room until the reservation expires.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent_ledger import clock, money
from agent_ledger.control.decide import is_model, whose
from agent_ledger.control.opened import Opened
from agent_ledger.errors import BudgetExceeded, InvalidRecord, LedgerError

_log = logging.getLogger("agent_ledger")
_WAIT_S = 5.0  # for others who reserve
_MOST_USD = 10_000
_MOST_TOKENS = 10**9
_PICOS_PER_4096TH = 244_140_625

_CAPS = """
select budget, scope, key, window_end, hard_percent, left_usd, left_4096ths, left_picos, left_tokens, currency
from hard_cap
where scope = 'agent' and key = :agent_id
  or scope = 'team' and key = :team
  or scope = 'feature' and key = :feature
  or scope = 'customer' and key = :customer_id
  or scope = 'model'
  or scope = 'everything'
"""
_EXPIRE = "update reservation set state = 'expired' where state = 'open' and expires_at <= ? returning agent_id"
_RESERVE = """
insert into reservation (id, budget, agent_id, made_at, expires_at, picos, tokens) values (?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a call may cost at most: pico-dollars for caps in money, tokens for caps in tokens. None: not said."""

    picos: int | None
    tokens: int | None
    expires_in_s: float

    @classmethod
    def of(cls, usd: object, tokens: int | None, expires_in_s: float) -> Ask:
        """Raises InvalidRecord."""
        picos = None
        if usd is not None:
            try:
                picos = money.picos(usd)
            except ValueError:
                picos = -1
            if not 0 <= picos <= money.picos(_MOST_USD):
                raise InvalidRecord("usd", usd, f"give what the call may cost at most, up to {_MOST_USD} dollars")
        if tokens is not None and (type(tokens) is not int or not 0 <= tokens <= _MOST_TOKENS):
            raise InvalidRecord("tokens", tokens, "give the input and output tokens of the call at most")
        if not 0 < expires_in_s <= 86_400:
            raise InvalidRecord("expires_in_s", expires_in_s, "give the longest that the call can take, up to a day")
        return cls(picos, tokens, expires_in_s)


class Reservations:
    """The reservations in the ledger at `path`, for all threads of a process."""

    def __init__(self, path: Path) -> None:
        self._file = Opened(path, _WAIT_S)

    def close(self) -> None:
        """Closing twice is harmless."""
        self._file.close()

    def make(
        self, agent_id: str, model: str | None, customer_id: str | None, feature: str | None, ask: Ask
    ) -> str | None:
        """Make a reservation and return its id; None where no hard cap concerns the call.

        Raises BudgetExceeded where there is no room, LedgerError where the file can't be written or what is asked for
        does not say enough.
        """
        with self._file.writer().transaction() as connection:
            now = clock.now()
            _expire(connection, now)
            caps = _rows(connection, whose(connection, agent_id, customer_id, feature, now))
            caps = [cap for cap in caps if cap["scope"] != "model" or is_model(model, cap["key"])]
            for cap in caps:
                _check(cap, ask)
            made = clock.sortable_id()
            until = clock.timestamp(datetime.fromisoformat(now) + timedelta(seconds=ask.expires_in_s))
            for cap in caps:
                amounts = [ask.picos, None] if cap["left_tokens"] is None else [None, ask.tokens]
                connection.execute(_RESERVE, [made, cap["budget"], agent_id, now, until, *amounts])
        return made if caps else None

    def settle(self, id: str) -> None:  # noqa: A002
        """Remove a reservation. Never raises: what can't be removed now expires."""
        try:
            with self._file.writer().transaction() as connection:
                connection.execute("delete from reservation where id = ?", [id])
        except (LedgerError, sqlite3.Error) as error:
            _log.warning("A reservation could not be settled, and expires by itself: %s", error)


class Reservation:
    """Room under the hard caps for one call, until it is settled: at the end of `with`, or by `settle`.

    Settle when the call is recorded: then its cost is in the ledger, and counts by itself. `id` is None where no hard
    cap concerns the call.
    """

    def __init__(self, reservations: Reservations, id: str | None) -> None:  # noqa: A002
        self._reservations = reservations
        self.id = id

    def settle(self) -> None:
        """Give the room back. Doing it twice is harmless. Never raises: what can't be given back now expires."""
        if self.id is not None:
            self._reservations.settle(self.id)
            self.id = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle()


def _expire(connection: sqlite3.Connection, now: str) -> None:
    agents = sorted({agent_id for (agent_id,) in connection.execute(_EXPIRE, [now]).fetchall()})
    if agents:
        _log.warning("Reservations of %s expired unsettled: a process ended, or a call took longer", ", ".join(agents))


def _rows(connection: sqlite3.Connection, keys: dict[str, str]) -> Sequence[dict[str, Any]]:
    found = connection.execute(_CAPS, keys)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def _check(cap: dict[str, Any], ask: Ask) -> None:
    """Raises BudgetExceeded where the cap leaves no room, LedgerError where that can't be told."""
    what = f"budget {cap['budget']} has a hard cap at {cap['hard_percent']} %"
    if cap["left_tokens"] is not None:
        if ask.tokens is None:
            raise LedgerError(f"{what} in tokens: say how many tokens the call needs at most")
        fits, left = cap["left_tokens"] >= ask.tokens, f"{max(0, cap['left_tokens']):,} tokens"
    else:
        if ask.picos is None:
            raise LedgerError(f"{what} in money: say how many dollars the call costs at most")
        if cap["left_4096ths"] is None:
            raise LedgerError(f"{what}, but no exchange rate is known for {cap['currency']}: set one")
        needed = divmod(ask.picos, _PICOS_PER_4096TH)
        fits, left = (cap["left_4096ths"], cap["left_picos"]) >= needed, f"{max(0.0, cap['left_usd']):.6f} dollars"
    if not fits:
        raise BudgetExceeded(f"{what}, and only {left} are left until {cap['window_end']}, less than the call may need")
