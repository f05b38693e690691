"""Prices and hard caps of a ledger for datasette-llm-accountant, so that Datasette's LLM plugins are held to budgets.

A file in Datasette's `--plugins-dir`:

    from agent_ledger.integrations.datasette_llm import hooks

    register_llm_accountants, register_llm_accountant_pricing = hooks("ledger.db")

Each response becomes a row of the ledger: of agent "datasette", the prompt's purpose as its feature and the actor as
its customer. It costs what the ledger says. Written for datasette-llm-accountant 0.1a4, on Datasette 1.0 alphas.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

try:
    from datasette import hookimpl
    from datasette_llm_accountant import (
        Accountant,
        InsufficientBalanceError,
        ModelPricingNotFoundError,
        Nanocents,
        PricingProvider,
        Tx,
    )
except ImportError as error:
    raise ImportError(
        "agent_ledger.integrations.datasette_llm needs datasette-llm-accountant: "
        "pip install 'agent-cost-ledger[datasette-llm]'"
    ) from error

from agent_ledger import money
from agent_ledger.errors import BudgetExceeded
from agent_ledger.hookspecs import Defaults
from agent_ledger.importers.llm_logs import call_of
from agent_ledger.ledger import Ledger
from agent_ledger.recording import fields_of

AGENT = "datasette"
_PICOS_PER_NANOCENT = 10
_FREE = "no hard cap"  # the transaction of a prompt that no cap concerns

# Pricing is not told for whom; the reservation before it, in the same task, was.
_asking: ContextVar[tuple[str | None, str | None]] = ContextVar("agent_ledger_asking", default=(None, None))


def hooks(path: str | os.PathLike[str], *, agent_id: str = AGENT) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The two hooks of datasette-llm-accountant, on the ledger at `path`, which is made where there is none."""
    ledger = Ledger(path)

    @hookimpl  # type: ignore[untyped-decorator,unused-ignore]
    def register_llm_accountants(datasette: Any) -> Accountant:  # noqa: ARG001
        return LedgerAccountant(ledger, agent_id=agent_id)

    @hookimpl  # type: ignore[untyped-decorator,unused-ignore]
    def register_llm_accountant_pricing(datasette: Any) -> PricingProvider:  # noqa: ARG001
        return LedgerPricing(ledger, agent_id=agent_id)

    return register_llm_accountants, register_llm_accountant_pricing


class LedgerAccountant(Accountant):  # type: ignore[misc,unused-ignore]  # Any, where it is not installed
    """Lets a prompt through where no directive blocks it and every hard cap has room for what is reserved."""

    def __init__(self, ledger: Ledger, *, agent_id: str = AGENT) -> None:
        self._ledger = ledger
        self._agent_id = agent_id

    async def reserve(
        self,
        nanocents: Nanocents,
        model_id: str | None = None,
        purpose: str | None = None,
        actor_id: str | None = None,
    ) -> Tx:
        """Raises InsufficientBalanceError, with the reason. A throttle can't be obeyed here: the model is chosen."""
        _asking.set((purpose, actor_id))
        decision = self._ledger.decide(self._agent_id, model_id, customer_id=actor_id, feature=purpose)
        if not decision.allowed:
            raise InsufficientBalanceError(decision.reason)
        usd = money.dollars(int(nanocents) * _PICOS_PER_NANOCENT)
        try:
            made = await asyncio.to_thread(
                lambda: self._ledger.reserve(self._agent_id, model_id, usd=usd, customer_id=actor_id, feature=purpose)
            )
        except BudgetExceeded as error:
            raise InsufficientBalanceError(error.reason) from error
        return Tx(made.id or _FREE)

    async def settle(
        self,
        tx: Tx,
        nanocents: Nanocents,  # noqa: ARG002
        model_id: str | None = None,  # noqa: ARG002
        purpose: str | None = None,  # noqa: ARG002
        actor_id: str | None = None,  # noqa: ARG002
    ) -> None:
        """Give the room back: what was spent is in the ledger since it was priced."""
        if tx != _FREE:
            await asyncio.to_thread(self._ledger.settle, str(tx))


class LedgerPricing(PricingProvider):  # type: ignore[misc,unused-ignore]
    """Records a response, and answers what the ledger says that it costs, rounded up to a nanocent."""

    def __init__(self, ledger: Ledger, *, agent_id: str = AGENT) -> None:
        self._ledger = ledger
        self._agent_id = agent_id

    async def calculate_cost_from_response(self, model_id: str, usage: Any, response: Any) -> Nanocents:
        """Raises ModelPricingNotFoundError where nobody knows the price; the call is in the ledger all the same."""
        purpose, actor_id = _asking.get()
        told = Defaults(agent_id=self._agent_id, customer_id=actor_id, feature=purpose)
        picos = await asyncio.to_thread(self._cost, model_id, usage, response, told)
        if picos is None:
            raise ModelPricingNotFoundError(
                f"the ledger knows no price of {model_id!r}: set one with agent-ledger prices LEDGER set"
            )
        return Nanocents(-(-picos // _PICOS_PER_NANOCENT))

    def _cost(self, model_id: str, usage: Any, response: Any, told: Defaults) -> int | None:
        row = {
            "id": response.id,
            "model": model_id,
            "resolved_model": response.resolved_model,
            "datetime_utc": response._start_utcnow.isoformat(),
            "input_tokens": usage.input,
            "output_tokens": usage.output,
            "token_details": json.dumps(usage.details) if usage.details else None,
            "response_json": json.dumps(response.response_json, default=str) if response.response_json else None,
            "session_id": response.conversation.id if response.conversation else None,
        }
        call = replace(call_of(row, model_id, told), evidence="response")
        self._ledger.record_call(**fields_of(call))
        [cost] = {row["cost_picos"] for row in self._ledger.rows("call_cost", request_id=call.request_id)}
        return None if cost is None else int(cost)
