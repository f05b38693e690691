"""What observed clients do about directives: ask before a call goes out, and remember what was changed.

One file per SDK does the asking, where nothing has been signed, sent or retried yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, unquote

from agent_ledger import attribution
from agent_ledger.attribution import Attribution
from agent_ledger.capture.exchange import UNATTRIBUTED
from agent_ledger.control.decide import Decision
from agent_ledger.errors import BudgetExceeded


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
        """A call was refused because of a directive."""


@dataclass(frozen=True, slots=True)
class Enforcement:
    """The rules of one client. `defaults` stand in for what the context does not say of who is calling."""

    rules: Rules
    defaults: Attribution
    fail_closed: bool

    def decided(self, model: str | None) -> Decision:
        """What a call on `model` (None: unknown) may do, made here and now. Raises BudgetExceeded where it may not."""
        who = attribution.caller().filled(self.defaults)
        agent_id = who.agent_id or UNATTRIBUTED
        decision = self.rules.decide(
            agent_id, model, customer_id=who.customer_id, feature=who.feature, fail_closed=self.fail_closed
        )
        if not decision.allowed:
            self.rules.stamp_refused(agent_id=agent_id, requested_model=model, directive_id=decision.directive_id)
            raise BudgetExceeded(decision.reason)
        return decision


def path_with_model(path: str, old: str, new: str) -> str:
    """The quoted path of a URL that names a model, with another model: …/old/invoke or …/old:generateContent."""
    segments = path.split("/")
    for place, segment in reversed(list(enumerate(segments))):
        found = unquote(segment)
        if found == old or found.startswith(f"{old}:"):
            segments[place] = quote(new, safe="") + found.removeprefix(old)
            break
    return "/".join(segments)
