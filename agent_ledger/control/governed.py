"""What a ledger does about money: budgets, exceptions, the policy, and the closed loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from agent_ledger import clock
from agent_ledger.connection import Writer
from agent_ledger.control import budgets, policy
from agent_ledger.control.loop import Loop


class Governed:
    """The part of `Ledger` that holds spend against budgets."""

    path: Path
    _writer: Writer

    def set_budget(
        self,
        scope: str,
        key: str | None = None,
        *,
        period: str,
        limit: object = None,
        currency: str = "USD",
        tokens: int | None = None,
        on_breach: str = "notify",
        throttle_to: str | Mapping[str, str] | None = None,
        **more: Any,
    ) -> str:
        """Say how much an agent, team, feature, customer, model or everything (`scope`) may spend per day, week or
        month, from now on, and what is done when that is spent: notify, throttle or block. Returns the budget's name.

        `limit` is in `currency`; or give `tokens`. `throttle_to` is a model, or maps models and patterns to models.
        `more`: name, zone, basis (llm or all-in), steps (percentages), hard_percent, tier, valid_from, recorded_by and
        reason, as in table `budget`. A budget of the same name is changed. Raises InvalidRecord.
        """
        with self._writer.transaction() as connection:
            return budgets.set_budget(
                connection,
                scope,
                key,
                now=clock.now(),
                period=period,
                limit=limit,
                currency=currency,
                tokens=tokens,
                on_breach=on_breach,
                throttle_to=throttle_to,
                **more,
            )

    def end_budget(self, name: str, *, valid_from: object = None, reason: str | None = None) -> None:
        """End a budget, from now on or from `valid_from`. Raises LedgerError where there is none of that name."""
        with self._writer.transaction() as connection:
            budgets.end_budget(connection, name, now=clock.now(), valid_from=valid_from, reason=reason)

    def grant_exception(
        self, budget: str, *, until: object, granted_by: str, reason: str | None = None, valid_from: object = None
    ) -> int:
        """Let a budget be overrun until a moment. The runtime no longer obeys its directives at once, and the next tick
        of the loop lifts them. Returns the exception's row. Raises InvalidRecord and LedgerError."""
        with self._writer.transaction() as connection:
            return budgets.grant_exception(
                connection,
                budget,
                now=clock.now(),
                until=until,
                granted_by=granted_by,
                reason=reason,
                valid_from=valid_from,
            )

    def revoke_exception(self, exception_id: int, *, granted_by: str, reason: str | None = None) -> None:
        """End an exception now. Raises LedgerError where it does not hold."""
        with self._writer.transaction() as connection:
            budgets.revoke_exception(connection, exception_id, now=clock.now(), granted_by=granted_by, reason=reason)

    def set_policy(self, rules: Sequence[Mapping[str, Any]], *, valid_from: object = None) -> list[str]:
        """Say what is done about what the loop finds: `rules` are those of a policy file, and take the place of all
        that held before. Returns the names of the rules that changed. Raises InvalidRecord, with nothing stored."""
        with self._writer.transaction() as connection:
            return policy.store(connection, rules, now=clock.now(), valid_from=valid_from)

    @cached_property
    def loop(self) -> Loop:
        """The closed loop on this ledger: `ledger.loop.tick()` detects, decides, acts and verifies once."""
        return Loop(self._writer)

    def _close_loop(self) -> None:
        if "loop" in vars(self):
            self.loop.close()
