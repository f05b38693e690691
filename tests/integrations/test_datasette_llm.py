"""The ledger under datasette-llm-accountant, in a real Datasette, with a model of llm that answers by itself."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

pytest.importorskip("datasette_llm_accountant", reason="datasette-llm-accountant is not installed")

import llm
from datasette.app import Datasette
from datasette.plugins import pm
from datasette_llm import LLM
from datasette_llm_accountant import InsufficientBalanceError, ModelPricingNotFoundError
from directed import block, cap
from support import add_prices, price, query

from agent_ledger import Ledger
from agent_ledger.integrations.datasette_llm import hooks

pytestmark = pytest.mark.usefixtures("no_sources")


class Model(llm.AsyncModel):
    model_id = "told-model"

    async def execute(self, prompt: Any, stream: bool, response: Any, *_: Any, **__: Any) -> AsyncIterator[str]:  # noqa: ARG002
        response.set_usage(input=1000, output=100, details={"prompt_tokens_details": {"cached_tokens": 400}})
        yield "Paid."


class Unpriced(Model):
    model_id = "unpriced-model"


@pytest.fixture
def asked(ledger: Ledger) -> Iterator[Any]:
    """`asked(model=…, …)`: what the model answers, in a Datasette that is held to the ledger's budgets."""
    add_prices(ledger, price(model="told-model", input=10**7, cache_read=10**6, output=5 * 10**7))
    accountants, pricing = hooks(ledger.path)
    plugin = type("Plugin", (), {"register_llm_accountants": staticmethod(accountants)})()
    plugin.register_llm_accountant_pricing = pricing
    models = type("Models", (), {})()

    @llm.hookimpl
    def register_models(register: Any) -> None:
        for model in (Model(), Unpriced()):
            register(model, model)

    models.register_models = register_models
    pm.register(plugin, "ledger")
    llm.plugins.load_plugins()
    llm.plugins.pm.register(models, "models")

    async def ask(model: str = "told-model", **who: Any) -> str:
        datasette = Datasette(memory=True, metadata={})
        await datasette.invoke_startup()
        response = await (await LLM(datasette).model(model, **who)).prompt("Pay?")
        return str(await response.text())

    yield lambda **who: asyncio.run(ask(**who))
    pm.unregister(name="ledger")
    llm.plugins.pm.unregister(name="models")


def test_a_prompt_is_recorded_and_costs_what_the_ledger_says(ledger: Ledger, asked: Any) -> None:
    assert asked(purpose="enrichments", actor={"id": "mia"}) == "Paid."
    [row] = ledger.rows("call_cost")
    assert (row["agent_id"], row["feature"], row["customer_id"]) == ("datasette", "enrichments", "mia")
    assert (row["prompt_tokens"], row["completion_tokens"], row["cache_read_tokens"]) == (1000, 100, 400)
    assert row["cost_picos"] == 600 * 10**7 + 400 * 10**6 + 100 * 5 * 10**7


def test_a_hard_cap_refuses_the_prompt_that_it_has_no_room_for(ledger: Ledger, asked: Any) -> None:
    cap(ledger, key="datasette", usd=0.1114)  # a prompt reserves 0.10 and costs 0.0114
    asked()
    asked()
    with pytest.raises(InsufficientBalanceError, match="budget scraping has a hard cap"):
        asked()
    assert query(ledger, "select count(*), (select count(*) from ledger) from reservation") == [(0, 2)]


def test_a_block_refuses_and_says_why(ledger: Ledger, asked: Any) -> None:
    block(ledger, scope="feature", key="enrichments")
    with pytest.raises(InsufficientBalanceError, match="blocked until"):
        asked(purpose="enrichments")
    assert asked(purpose="other") == "Paid."
    assert len(ledger.rows("ledger")) == 1


def test_a_model_without_a_price_is_recorded_and_says_so(ledger: Ledger, asked: Any) -> None:
    cap(ledger, key="datasette", usd=1)
    with pytest.raises(ModelPricingNotFoundError, match="no price of 'unpriced-model'"):
        asked(model="unpriced-model")
    assert [row["model"] for row in ledger.rows("unpriced_calls")] == ["unpriced-model"]
    assert query(ledger, "select count(*) from reservation") == [(0,)]


def test_without_the_accountant_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['datasette_llm_accountant'] = None\nimport agent_ledger.integrations.datasette_llm"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'agent-cost-ledger[datasette-llm]'" in done.stderr
