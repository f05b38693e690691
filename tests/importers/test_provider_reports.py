"""The cost and usage reports of Anthropic and OpenAI, as their APIs page them."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from support import query

from agent_ledger.errors import ImportFailed
from agent_ledger.hookspecs import Defaults
from agent_ledger.importers.anthropic_reports import AnthropicCost, AnthropicUsage
from agent_ledger.importers.openai_reports import OpenAICosts, OpenAIUsage
from agent_ledger.records import Charge, ProviderUsage, Refused

DAY = {"starting_at": "2026-10-01T00:00:00Z", "ending_at": "2026-10-02T00:00:00Z"}
SECONDS = {"object": "bucket", "start_time": 1790812800, "end_time": 1790899200}
COST = {
    "amount": "123.78912", "currency": "USD", "cost_type": "tokens", "token_type": "uncached_input_tokens",
    "model": "claude-opus-5", "description": "Claude Opus 5 Usage - Input Tokens", "workspace_id": None,
    "service_tier": "standard", "context_window": None,
}  # fmt: skip
USAGE = {
    "uncached_input_tokens": 1500, "cache_read_input_tokens": 200, "output_tokens": 500, "model": "claude-opus-5",
    "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500}, "api_key_id": "key",
    "server_tool_use": {"web_search_requests": 10}, "service_tier": "batch", "workspace_id": "ws",
}  # fmt: skip
COSTS = {
    "object": "organization.costs.result", "amount": {"value": 0.06, "currency": "usd"}, "line_item": "gpt-4o, input",
    "project_id": "proj", "quantity": 24000, "quantity_unit": "tokens",
}  # fmt: skip
COMPLETIONS = {
    "object": "organization.usage.completions.result", "input_tokens": 1000, "output_tokens": 500,
    "input_cached_tokens": 800, "input_cache_write_tokens": 10, "num_model_requests": 5, "model": "gpt-4o",
    "batch": True, "project_id": "proj",
}  # fmt: skip


def page(*results, bucket=DAY, more=False):
    found = {"data": [bucket | {"results": list(results)}], "has_more": more}
    return found | ({"next_page": "page_2"} if more else {})


@pytest.fixture
def facts(tmp_path, read):
    """What an importer makes of JSON values, one per line."""

    def of(importer, *values):
        path = tmp_path / "report.json"
        path.write_text("\n".join(map(json.dumps, values)) + "\n")
        return read(importer, path).facts

    return of


def test_a_cost_of_anthropic_is_in_cents(facts):
    [charge] = facts(AnthropicCost(), page(COST))
    assert isinstance(charge, Charge)
    assert charge.cost == Decimal("1.2378912")
    assert (charge.bill, charge.billing_period, charge.kind) == ("anthropic default", "2026-10-01", "llm")
    assert (charge.period_start, charge.period_end) == ("2026-10-01T00:00:00.000Z", "2026-10-02T00:00:00.000Z")
    assert (charge.model, charge.token_type, charge.category) == ("claude-opus-5", "input", "usage")
    assert charge.tags == {"service_tier": "standard"}


@pytest.mark.parametrize(
    ("changes", "token_type"),
    [
        ({"token_type": "cache_creation.ephemeral_1h_input_tokens"}, "cache_write_1h"),
        ({"token_type": "cache_creation.ephemeral_5m_input_tokens"}, "cache_write"),
        ({"token_type": "cache_read_input_tokens"}, "cache_read"),
        ({"token_type": "output_tokens"}, "output"),
        ({"token_type": "thoughts"}, "thoughts"),
        ({"token_type": None, "cost_type": "web_search", "description": "Web Search Usage"}, "web_search"),
        ({"token_type": None, "cost_type": "code_execution", "description": None}, "code_execution"),
        ({"token_type": None, "cost_type": None, "description": None}, None),
    ],
)
def test_what_a_cost_of_anthropic_is_for(facts, changes, token_type):
    [charge] = facts(AnthropicCost(), page(COST | changes))
    assert (charge.token_type, charge.kind) == (token_type, "llm")


def test_costs_of_anthropics_analytics(facts):
    """Rows of groups, buckets of rows, and rows of people: three shapes of the same amounts."""
    cost = {"amount": "90.5", "list_amount": "100", "currency": "USD", "requests": None}
    group = {"model": "claude-opus-5", "cost_type": "tokens", "token_type": "output_tokens", "agent_id": None}
    rows = facts(
        AnthropicCost(),
        {"data": [DAY | {"group": group, "cost": cost}], "has_more": False, "data_refreshed_at": DAY["ending_at"]},
        page(cost | group | {"product": "claude_code"}),
        {"data": [DAY | cost | group | {"actor": {"type": "api_actor", "api_key_id": "key"}}]},
    )
    assert [row.cost for row in rows] == [Decimal("0.905")] * 3
    assert {(row.model, row.token_type) for row in rows} == {("claude-opus-5", "output")}
    assert rows[1].service == "claude_code"
    assert len({row.charge_id for row in rows}) == 3


def test_the_usage_of_anthropic_includes_the_cache(facts):
    [usage] = facts(AnthropicUsage(), page(USAGE))
    assert usage == ProviderUsage(
        bill="anthropic default", billing_period="2026-10-01", period_start="2026-10-01T00:00:00.000Z",
        period_end="2026-10-02T00:00:00.000Z", provider="anthropic", usage_id=usage.usage_id, model="claude-opus-5",
        service_tier="batch", account="key", prompt_tokens=3200, completion_tokens=500, cache_read_tokens=200,
        cache_write_tokens=1500, cache_write_1h_tokens=1000, web_search_requests=10,
    )  # fmt: skip


def test_usage_of_anthropics_analytics_by_the_hour(facts):
    hour = {"starting_at": "2026-10-01T05:00:00Z", "ending_at": "2026-10-01T06:00:00Z"}
    counts = {name: USAGE[name] for name in USAGE if "tokens" in name or name == "cache_creation"}
    [usage] = facts(
        AnthropicUsage(),
        {"data": [hour | {"group": {"model": "m", "speed": "fast"}, "usage": counts | {"requests": 7}}]},
    )
    assert (usage.prompt_tokens, usage.requests, usage.service_tier, usage.model) == (3200, 7, "fast", "m")
    assert (usage.billing_period, usage.period_start) == ("2026-10-01", "2026-10-01T05:00:00.000Z")


@pytest.mark.parametrize(("value", "cost"), [(0.06, "0.06"), ("10.1425634", "10.1425634"), (1e-7, "1E-7"), (0, "0")])
def test_a_cost_of_openai_is_in_dollars(facts, value, cost):
    [charge] = facts(OpenAICosts(), page(COSTS | {"amount": {"value": value, "currency": "usd"}}, bucket=SECONDS))
    assert (charge.cost, charge.currency) == (Decimal(cost), "USD")
    assert (charge.bill, charge.billing_period, charge.account) == ("openai default", "2026-10-01", "proj")
    assert (charge.model, charge.token_type, charge.kind) == ("gpt-4o", "input", "llm")
    assert (charge.quantity, charge.unit) == (24000, "tokens")


@pytest.mark.parametrize(
    ("line_item", "found"),
    [
        (None, (None, None, "llm")),
        ("gpt-4o, cached input", ("gpt-4o", "cache_read", "llm")),
        ("gpt-6-astra, input_tokens", ("gpt-6-astra", "input", "llm")),
        ("gpt-6-astra, cache_write_tokens", ("gpt-6-astra", "cache_write", "llm")),
        ("ft:gpt-4o, eu, output", ("ft:gpt-4o, eu", "output", "llm")),
        ("Image models", (None, None, "llm")),
        ("web search tool calls", (None, "web_search", "llm")),
        ("vector store storage", (None, None, "cloud")),
    ],
)
def test_line_items_of_openai(facts, line_item, found):
    [charge] = facts(OpenAICosts(), page(COSTS | {"line_item": line_item}, bucket=SECONDS))
    assert (charge.model, charge.token_type, charge.kind) == found


def test_the_usage_of_openai(facts):
    searches = {"object": "organization.usage.web_searches.result", "num_requests": 4, "num_model_requests": 3}
    embedded = {"object": "organization.usage.embeddings.result", "input_tokens": 7, "num_model_requests": 1}
    usage, found, embeddings = facts(OpenAIUsage(), page(COMPLETIONS, searches, embedded, bucket=SECONDS))
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cache_read_tokens) == (1000, 500, 800)
    assert (usage.requests, usage.service_tier, usage.account) == (5, "batch", "proj")
    assert (found.web_search_requests, found.requests, found.prompt_tokens) == (4, None, None)
    assert (embeddings.prompt_tokens, embeddings.completion_tokens) == (7, 0)
    # One does not replace the other when it comes in another file.
    assert len({usage.bill, found.bill, embeddings.bill}) == 3


def test_a_page_that_came_twice_counts_once(facts, tmp_path, ledger):
    first, second = page(COST, COST | {"workspace_id": "ws"}), page(COST | {"model": "other"})
    assert len({charge.charge_id for charge in facts(AnthropicCost(), first, second)}) == 3
    facts(AnthropicCost(), first, second, first)
    done = ledger.import_file(AnthropicCost(), tmp_path / "report.json", Defaults(), lambda _: None)
    assert (done.added, done.already_there, done.refused) == (3, 0, [])
    *_, refused = facts(AnthropicCost(), first, page(COST | {"amount": "1"}))
    assert isinstance(refused, Refused)
    assert "came before with other amounts" in refused.reason


def test_a_day_that_comes_again_replaces_that_day_alone(tmp_path, ledger):
    next_day = {"starting_at": "2026-10-02T00:00:00Z", "ending_at": "2026-10-03T00:00:00Z"}

    def deliver(*pages):
        path = tmp_path / "report.jsonl"
        path.write_text("\n".join(map(json.dumps, pages)))
        return ledger.import_file(AnthropicCost(), path, Defaults(), lambda _: None)

    assert deliver(page(COST), page(COST | {"amount": "1"}, bucket=next_day)).added == 2
    assert deliver(page(COST), page(COST | {"amount": "1"}, bucket=next_day)).already_there == 2
    assert deliver(page(COST | {"amount": "200"}, bucket=next_day)).added == 1
    found = query(ledger, "select billing_period, cost from billed_charge order by 1")
    assert found == [("2026-10-01", "1.2378912"), ("2026-10-02", "2.00")]


def test_pages_in_every_form(facts, read, tmp_path):
    next_day = {"starting_at": "2026-10-02T00:00:00Z", "ending_at": "2026-10-03T00:00:00Z"}
    pages = [page(COST, more=True), page(COST, bucket=next_day)]
    expected = facts(AnthropicCost(), *pages)
    assert [type(fact) for fact in expected] == [Charge, Charge]
    for name, text in {
        "array.json": json.dumps(pages),
        "lines.jsonl": "\n".join(map(json.dumps, pages)),
        "buckets.jsonl": "\n".join(json.dumps(one["data"][0]) for one in pages),
        "pretty.json": json.dumps(pages, indent=2),
    }.items():
        path = tmp_path / name
        path.write_text(text)
        assert read(AnthropicCost(), path).facts == expected, name
    path.write_text(json.dumps(pages[1], indent=2))
    assert read(AnthropicCost(), path).facts == expected[1:]


def test_a_missing_page_is_said(facts):
    *_, refused = facts(AnthropicCost(), page(COST), page(COST | {"model": "x"}, more=True))
    assert refused == Refused(2, "page page_2 follows and is not in this file: import it too, or the days are short.")


MONTH = {"starting_at": "2026-10-01T00:00:00Z", "ending_at": "2026-11-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("importer", "value", "reason"),
    [
        (AnthropicCost(), page(COST | {"amount": None}), "amount"),
        (AnthropicCost(), page(COST | {"amount": "12 cents"}), "'12 cents'"),
        (AnthropicCost(), page(COST | {"amount": "NaN"}), "'NaN'"),
        (AnthropicCost(), page(COST | {"currency": "dollars"}), "'DOLLARS'"),
        (AnthropicCost(), page(COST | {"rbac_group_id": "g"}), "overlap"),
        (AnthropicCost(), page(COST, bucket=MONTH), "ask for the report by day"),
        (AnthropicCost(), page(COST, bucket={}), "starting_at"),
        (AnthropicCost(), page(COST, bucket=DAY | {"ending_at": "2026-09-01T00:00:00Z"}), "before the start"),
        (AnthropicCost(), page(7), "give JSON objects"),
        (AnthropicCost(), {"data": [7]}, "which are JSON objects"),
        (AnthropicCost(), {"data": 7}, "which are JSON objects"),
        (AnthropicCost(), {"data": [DAY | {"results": 7}]}, "give a list"),
        (AnthropicCost(), {"error": {"message": "no"}}, "starting_at"),
        (AnthropicUsage(), page({}), "counts uncached_input_tokens"),
        (AnthropicUsage(), page(USAGE | {"output_tokens": -1}), "-1"),
        (AnthropicUsage(), page(USAGE | {"output_tokens": 1.5}), "1.5"),
        (AnthropicUsage(), page(USAGE | {"cache_creation": 5}), "give an object"),
        (OpenAICosts(), page(COSTS | {"amount": None}, bucket=SECONDS), "amount"),
        (OpenAICosts(), page(COSTS | {"amount": {"value": None}}, bucket=SECONDS), "amount.value"),
        (OpenAICosts(), COSTS, "start_time"),
        (OpenAIUsage(), page(COMPLETIONS | {"input_tokens": None}, bucket=SECONDS), "counts input_tokens"),
        (OpenAIUsage(), page(COMPLETIONS, bucket=SECONDS | {"start_time": "soon"}), "'soon'"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(facts, importer, value, reason):
    [refused] = facts(importer, value)
    assert isinstance(refused, Refused)
    assert reason in refused.reason
    assert refused.reason.count("\n") == 0


CLAUDE_CODE = {"data": [{"date": "2026-10-01T00:00:00Z", "core_metrics": {}, "model_breakdown": []}]}
IMAGES = {"object": "organization.usage.images.result", "images": 3}


@pytest.mark.parametrize(
    ("importer", "value", "reason"),
    [
        (AnthropicCost(), page(USAGE), "import it as anthropic-usage"),
        (AnthropicUsage(), page(COST), "import it as anthropic-cost"),
        (AnthropicCost(), CLAUDE_CODE, "would count twice"),
        (AnthropicUsage(), CLAUDE_CODE, "would count twice"),
        (AnthropicCost(), page(COSTS, bucket=SECONDS), "import it as openai-costs"),
        (OpenAICosts(), page(COMPLETIONS, bucket=SECONDS), "import it as openai-usage"),
        (OpenAIUsage(), page(COSTS, bucket=SECONDS), "import it as openai-costs"),
        (OpenAIUsage(), page(IMAGES, bucket=SECONDS), "has no tokens to compare"),
        (OpenAICosts(), page(COST), "import it as anthropic-cost"),
    ],
)
def test_another_report_is_not_imported(facts, importer, value, reason):
    with pytest.raises(ImportFailed, match=reason):
        facts(importer, value)


@pytest.mark.parametrize(
    ("importer", "name", "amounts"),
    [
        (AnthropicCost(), "anthropic_cost_report.doc_example.json", ["1.2378912"]),
        (OpenAICosts(), "openai_costs.doc_example.json", ["0.06"]),
        (OpenAICosts(), "openai_costs.user_reported_real_page.json", ["10.1425634"]),
    ],
)
def test_the_examples_of_the_providers(samples, read, importer, name, amounts):
    found = read(importer, samples / "provider_reports" / name).facts
    assert [str(fact.cost) for fact in found if isinstance(fact, Charge)] == amounts
