"""What observed clients do about directives: ask before a call goes out, and remember what was changed.

One file per SDK does the asking, where nothing has been signed, sent or retried yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, unquote

from agent_ledger import attribution
from agent_ledger.attribution import Attribution
from agent_ledger.capture.exchange import UNATTRIBUTED, warn_once
from agent_ledger.capture.ruling import Ruling
from agent_ledger.control.decide import Decision
from agent_ledger.control.reserve import Ask
from agent_ledger.errors import BudgetExceeded, LedgerError


class Rules(Protocol):
    """Who decides: a `Ledger`. Neither method raises or waits for long."""

    def decide(
        self,
        agent_id: str,
        model: str | None,
        *,
        customer_id: str | None = None,
        feature: str | None = None,
        fail_closed: bool = False,
    ) -> Decision:
        """What a call may do now."""

    def stamp_refused(self, *, agent_id: str, requested_model: str | None, directive_id: int | None) -> None:
        """A call was refused because of a directive or a hard cap."""

    def hold(
        self, agent_id: str, model: str | None, *, customer_id: str | None, feature: str | None, ask: Ask
    ) -> str | None:
        """Reserve under hard caps; this one raises BudgetExceeded and LedgerError. None: no cap concerns the call."""


@dataclass(frozen=True, slots=True)
class Enforcement:
    """The rules of one client. `defaults` stand in for what the context does not say of who is calling. `ask`: what to
    reserve for each call; None: nothing."""

    rules: Rules
    defaults: Attribution
    fail_closed: bool
    ask: Ask | None = None

    def decided(self, model: str | None, *, is_batch: bool = False) -> tuple[str | None, Ruling]:
        """The model on which a call that asks for `model` (None: unknown) may go out here and now, and what its rows
        need to know. Raises BudgetExceeded where it may not."""
        who = attribution.caller().filled(self.defaults)
        agent_id = who.agent_id or UNATTRIBUTED
        concerned = {"customer_id": who.customer_id, "feature": who.feature}
        decision = self.rules.decide(agent_id, model, **concerned, fail_closed=self.fail_closed)
        try:
            if not decision.allowed:
                raise BudgetExceeded(decision.reason)
            reservation_id = None
            if self.ask is not None and not is_batch:  # a batch is no call that ends here
                reservation_id = self._held(agent_id, decision.model, concerned, self.ask)
        except BudgetExceeded:
            self.rules.stamp_refused(agent_id=agent_id, requested_model=model, directive_id=decision.directive_id)
            raise
        changed = model if decision.model != model else None
        return decision.model, Ruling(changed, decision.directive_id, reservation_id)

    def _held(self, agent_id: str, model: str | None, concerned: dict[str, str | None], ask: Ask) -> str | None:
        try:
            return self.rules.hold(agent_id, model, **concerned, ask=ask)
        except BudgetExceeded:
            raise
        except LedgerError as error:
            if self.fail_closed:
                raise BudgetExceeded(f"refused, because nothing can be reserved: {error}") from error
            warn_once(f"Calls go out without a reservation: {error}")
            return None


def path_with_model(path: str, old: str, new: str) -> str:
    """The quoted path of a URL that names a model, with another model: …/old/invoke or …/old:generateContent."""
    segments = path.split("/")
    for place, segment in reversed(list(enumerate(segments))):
        found = unquote(segment)
        if found == old or found.startswith(f"{old}:"):
            segments[place] = quote(new, safe="") + found.removeprefix(old)
            break
    return "/".join(segments)
