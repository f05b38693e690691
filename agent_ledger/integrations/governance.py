"""The governance server: agents and people ask the ledger, over MCP, what may be spent and why a call was refused.

Every tools/call, refused ones included, is an audit row of server `agent-ledger`. Nothing else is written, unless the
server was started for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

try:
    from fastmcp import FastMCP
    from fastmcp.exceptions import ToolError
except ImportError as error:
    raise ImportError("the governance server needs fastmcp: pip install 'agent-cost-ledger[mcp]'") from error

from agent_ledger.capture.fastmcp import AuditMiddleware
from agent_ledger.errors import LedgerError
from agent_ledger.ledger import Ledger, reading
from agent_ledger.records import Row

NAME = "agent-ledger"
_MOST_EVENTS = 200
_CHAIN = """
with recursive before (id, cause) as (
  select id, cause from control_event where id = :event_id
  union
  select control_event.id, control_event.cause from before join control_event on control_event.id = before.cause
),
after (id) as (
  select :event_id
  union
  select control_event.id from after join control_event on control_event.cause = after.id
)
select * from control_event where id in (select id from before union select id from after) order by id
"""
_INSTRUCTIONS = """
What LLM agents spend, their budgets, and what the runtime is told to do about it. Money is US dollars; null is unknown,
never zero; times are UTC. Ask `may_call` before a call, `explain` for the numbers behind a directive.
"""


def server(ledger: Ledger, *, allow_changes: bool = False) -> FastMCP:
    """The server on an open ledger. `allow_changes` adds the tools that grant exceptions and lift directives."""
    made = FastMCP(NAME, instructions=_INSTRUCTIONS.strip())
    made.add_middleware(AuditMiddleware(ledger, server=NAME))
    asking, changing = _Asking(ledger), _Changing(ledger)
    tool: Callable[..., Any]
    for tool in (asking.agent, asking.budgets, asking.events, asking.explain, asking.may_call):
        made.tool(_said(tool), annotations={"readOnlyHint": True, "openWorldHint": False})
    for tool in (changing.grant_exception, changing.lift_directive) if allow_changes else ():
        made.tool(_said(tool), annotations={"readOnlyHint": False, "openWorldHint": False})
    return made


def _said(tool: Callable[..., Any]) -> Callable[..., Any]:
    """`tool`, whose refusals the client gets as the sentence that they are."""

    @functools.wraps(tool)
    def ours(*args: Any, **kwargs: Any) -> Any:
        try:
            return tool(*args, **kwargs)
        except LedgerError as error:
            raise ToolError(str(error)) from error

    return ours


class _Asking:
    """The tools that only read. Their docstrings are what the client's model sees."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def agent(self, agent_id: str) -> dict[str, Any]:
        """Who owns an agent, what it has spent, and the budgets that concern it: limit, spend, forecast, state,
        exception and directive of each."""
        assigned = self._assigned(agent_id)
        keys = {("agent", agent_id), ("team", assigned["team"]), ("feature", assigned["feature"])}
        keys.add(("everything", "(everything)"))
        budgets = [
            row
            for scope, key in sorted(keys, key=str)
            if key is not None
            for row in self._ledger.rows("budget_status", scope=scope, key=key)
        ]
        spent = self._ledger.rows("cost_by_agent", agent_id=agent_id)
        if not (spent or budgets or any(assigned.values())):
            raise LedgerError(f"nothing is known of agent {agent_id!r}: `agent_id` is what its calls are recorded with")
        return {"agent_id": agent_id, **assigned, "spent": spent[0] if spent else None, "budgets": budgets}

    def _assigned(self, agent_id: str) -> dict[str, str | None]:
        held = self._ledger.rows("assignment", agent_id=agent_id)
        [now] = self._ledger.rows("moment")
        current = [row for row in held if row["valid_from"] <= now["now"] < row["valid_to"]]
        return {name: current[0][name] if current else None for name in ("team", "feature", "owner")}

    def budgets(self, scope: str | None = None, key: str | None = None, state: str | None = None) -> list[Row]:
        """All budgets in force, or those of a scope (agent, team, feature, customer, model, everything), of a key (an
        agent_id, a team, …) or in a state (ok, warning, exceeded, …)."""
        given = {"scope": scope, "key": key, "state": state}
        return self._ledger.rows("budget_status", **{name: value for name, value in given.items() if value is not None})

    def events(self, budget: str | None = None, key: str | None = None, limit: int = 50) -> list[Row]:
        """What the closed loop found, decided, did and verified, the newest first: of one budget, or of one agent,
        team, … by its key."""
        given = {"budget": budget, "key": key}
        found = self._ledger.rows(
            "control_event", **{name: value for name, value in given.items() if value is not None}
        )
        return sorted(found, key=lambda row: -int(row["id"]))[: max(1, min(limit, _MOST_EVENTS))]

    def explain(self, directive_id: int | None = None, event_id: int | None = None) -> dict[str, Any]:
        """Why a directive or an event is there: the chain of events that led to it and what followed, who was told, and
        how many calls were changed or refused."""
        if (directive_id is None) == (event_id is None):
            raise LedgerError("give directive_id or event_id, one of them")
        if directive_id is not None:
            found = self._ledger.rows("directive", id=directive_id)
            if not found:
                raise LedgerError(f"there is no directive {directive_id}: `budgets` names those that are in force")
            event_id = found[0]["event_id"]
        with reading(self._ledger.path) as connection:
            events = [dict(row) for row in connection.execute(_CHAIN, {"event_id": event_id})]
            if not events:
                raise LedgerError(f"there is no event {event_id}: `events` lists them")
        ids = [row["id"] for row in events]
        return {
            "events": events,
            "directives": [row for one in ids for row in self._directives(one)],
            "told": [row for one in ids for row in self._ledger.rows("notification", event_id=one)],
        }

    def _directives(self, event_id: int) -> list[Row]:
        found = self._ledger.rows("directive", event_id=event_id)
        for row in found:
            calls = self._ledger.rows("enforced_call", directive_id=row["id"])
            row["calls_changed"] = sum(call["request_id"] is not None for call in calls)
            row["calls_refused"] = len(calls) - row["calls_changed"]
        return found

    def may_call(
        self, agent_id: str, model: str, customer_id: str | None = None, feature: str | None = None
    ) -> dict[str, Any]:
        """May this agent make a call on this model now? Says whether it is allowed, on which model, and why."""
        decision = self._ledger.decide(agent_id, model, customer_id=customer_id, feature=feature, fail_closed=True)
        return {
            "allowed": decision.allowed,
            "model": decision.model if decision.allowed else None,
            "reason": decision.reason,
            "directive_id": decision.directive_id,
        }


class _Changing:
    """The tools that write, each a row that names who did it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def grant_exception(self, budget: str, until: str, granted_by: str, reason: str) -> dict[str, Any]:
        """Let a budget be overrun until a moment (a date or an ISO 8601 time). `granted_by` is the person who takes
        responsibility for it. The runtime stops to obey the budget's directives at once."""
        row = self._ledger.grant_exception(budget, until=until, granted_by=granted_by, reason=reason)
        [granted] = self._ledger.rows("budget_exception", id=row)
        return granted

    def lift_directive(self, directive_id: int, granted_by: str, reason: str) -> dict[str, Any]:
        """End a directive, by an exception for its budget until the directive would have ended: else the loop would
        issue it again. `granted_by` is the person who takes responsibility for it."""
        found = self._ledger.rows("directive_in_force", directive_id=directive_id)
        if not found:
            raise LedgerError(f"directive {directive_id} is not in force: `budgets` names those that are")
        return self.grant_exception(found[0]["budget"], found[0]["valid_until"], granted_by, reason)
