"""What the runtime may do now: the directives in force, asked before each call.

Nothing is kept from one call to the next. An indexed look-up takes some tens of microseconds, and so a directive holds
from the moment it is written, in every process.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from agent_ledger import clock
from agent_ledger.control.opened import Opened
from agent_ledger.errors import LedgerError

_log = logging.getLogger("agent_ledger")
_DATED = re.compile(r"[-@](\d{8}|\d{4}-\d\d-\d\d)\Z")  # at the end of a model's name
UNATTRIBUTED = "(unattributed)"
_WAIT_S = 0.25  # for a lock on the file, as for everything that a call waits for

_ASSIGNED = """
select team, feature from agent_assignment
where agent_id = ? and valid_from <= ?
order by valid_from desc, id desc
limit 1
"""
# The narrowest first: an agent's own directive is applied before that of its team, and that of everything last.
_IN_FORCE = """
select directive_id, scope, key, action, throttle_to, valid_until, budget, reason
from directive_in_force as directive
where (
    scope = 'agent' and key = :agent_id
    or scope = 'team' and key = :team
    or scope = 'feature' and key = :feature
    or scope = 'customer' and key = :customer_id
    or scope = 'model'
    or scope = 'everything' and key = '(everything)'
  )
  -- Who grants an exception need not wait until the loop lifts the directive.
  and not exists (select 1 from exception_in_force where exception_in_force.budget = directive.budget)
order by instr('agent customer feature team model everything', scope), directive_id
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a call may do: go out on `model` if it is `allowed`, which may be another model than was asked for.

    `reason` is a sentence. `directive_id` is the one that decided (the last, where several changed the model); None:
    no directive.
    """

    allowed: bool
    model: str | None
    reason: str
    directive_id: int | None = None


class Directives:
    """The directives of the ledger at `path`, for all threads of a process."""

    def __init__(self, path: Path) -> None:
        self._file = Opened(path, _WAIT_S)
        self._warned = False

    def close(self) -> None:
        """Closing twice is harmless."""
        self._file.close()

    def decide(
        self, agent_id: str, model: str | None, *, customer_id: str | None, feature: str | None, fail_closed: bool
    ) -> Decision:
        """See Ledger.decide."""
        try:
            decision = self._decided(agent_id, model, customer_id, feature)
        except Exception as error:  # whatever it is, the agent gets an answer
            return self._unreadable(model, error, fail_closed=fail_closed)
        self._warned = False
        return decision

    def _decided(self, agent_id: str, model: str | None, customer_id: str | None, feature: str | None) -> Decision:
        writer = self._file.writer()
        with writer.lock():
            connection = writer.live()
            keys = whose(connection, agent_id, customer_id, feature, clock.now())
            in_force = connection.execute(_IN_FORCE, keys).fetchall()
        return _applied(model, in_force)

    def _unreadable(self, model: str | None, error: Exception, *, fail_closed: bool) -> Decision:
        what = "refused" if fail_closed else "allowed"
        if not self._warned:
            self._warned = True
            _log.warning("Directives can't be read (%s): until that is over, calls are %s", error, what)
        return Decision(
            not fail_closed, model, f"{what}, because the directives of {self._file.path} can't be read: {error}"
        )

    def note(self, **columns: Any) -> None:
        """Write a row of enforced_call. Never raises."""
        sql = f"insert into enforced_call ({', '.join(columns)}) values ({', '.join('?' * len(columns))})"
        try:
            with self._file.writer().transaction() as connection:
                connection.execute(sql, list(columns.values()))
        except (LedgerError, sqlite3.Error):
            _log.warning("What a directive did to a call could not be recorded", exc_info=True)


def whose(
    connection: sqlite3.Connection, agent_id: str, customer_id: str | None, feature: str | None, now: str
) -> dict[str, str]:
    """Whose budgets and directives concern a call, as the views name them."""
    team, own_feature = connection.execute(_ASSIGNED, [agent_id, now]).fetchone() or (None, None)
    found = {"agent_id": agent_id, "team": team, "feature": feature or own_feature, "customer_id": customer_id}
    return {name: value or UNATTRIBUTED for name, value in found.items()}


def _applied(model: str | None, in_force: list[tuple[Any, ...]]) -> Decision:
    """The decision that follows from rows of _IN_FORCE: throttles follow one another, and a block wins, where it is of
    a model only on that model."""
    asked, by, reasons = model, None, []
    for directive_id, scope, key, action, throttle_to, valid_until, budget, reason in in_force:
        if action == "throttle" and (scope != "model" or is_model(model, key)):
            smaller = mapped(model, throttle_to)
            if smaller is not None and smaller != model:
                said = f"until {valid_until} by budget {budget} (directive {directive_id}): {reason}"
                reasons.append(f"{model} becomes {smaller} {said}")
                model, by = smaller, directive_id
    for directive_id, scope, key, action, _, valid_until, budget, reason in in_force:
        if action == "block" and (scope != "model" or is_model(model, key)):
            said = f"blocked until {valid_until} by budget {budget} (directive {directive_id}): {reason}"
            return Decision(False, asked, said, directive_id)
    return Decision(True, model, "; ".join(reasons) or "no directive stands against it", by)


def is_model(model: str | None, key: str) -> bool:
    """Is `key` of a budget, a model as it stands in the ledger, the one that is asked for? Providers answer with the
    dated name of an alias: claude-sonnet-4-5-20250929 for claude-sonnet-4-5."""
    return model is not None and (model == key or _DATED.sub("", key) == model)


def mapped(model: str | None, throttle_to: str) -> str | None:
    """The model to use instead of `model`, by the first name or pattern that matches; None: no one does."""
    if model is None:
        return None
    return next((smaller for pattern, smaller in _patterns(throttle_to) if pattern.fullmatch(model)), None)


@lru_cache(maxsize=256)
def _patterns(throttle_to: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    given: Mapping[str, str] = json.loads(throttle_to)
    return tuple(
        (re.compile(re.escape(name).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL), smaller)
        for name, smaller in given.items()
    )
