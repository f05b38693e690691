from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_ledger.errors import InvalidRecord, UnknownUsage
from agent_ledger.importers import spans
from agent_ledger.importers.spans import Span

IN, OUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
READ, WRITE = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens"
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}


def span(attributes=None, *, name="span", **fields):
    return Span("0" * 31 + "1", "0" * 15 + "2", name, attributes or {}, **fields)


def used(attributes, **fields):
    """The one inference of a chat span with these attributes."""
    [found] = spans.inferences(span(CHAT | attributes, **fields))
    return found


# -- what a span stands for -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["chat", "text_completion", "generate_content", "embeddings"])
def test_llm_operations(operation):
    assert spans.role(span({"gen_ai.operation.name": operation})) == "llm"


@pytest.mark.parametrize(
    ("operation", "role"),
    [("invoke_agent", "agent"), ("invoke_workflow", "agent"), ("execute_tool", "tool"), ("create_agent", None)]
    + [(name, None) for name in ("count_tokens", "messages.count_tokens", "retrieval", "plan", "retrieve_memory")],
)
def test_sums_and_counting_are_no_llm_calls(operation, role):
    summed = {"gen_ai.operation.name": operation, "gen_ai.request.model": "m", IN: 9, OUT: 9}
    assert spans.role(span(summed)) == role


def test_an_operation_of_its_own_name_is_an_llm_call_if_it_has_usage():
    assert spans.role(span({"gen_ai.operation.name": "responses", IN: 9})) == "llm"
    assert spans.role(span({"gen_ai.operation.name": "responses"})) is None


@pytest.mark.parametrize(
    ("attributes", "role"),
    [
        ({}, None),
        ({"http.request.method": "POST"}, None),
        ({"gen_ai.system": "openai"}, None),
        ({"gen_ai.system": "openai", "gen_ai.request.model": "m"}, None),
        ({"gen_ai.provider.name": "anthropic", "gen_ai.request.model": "m", "http.route": "/v1/messages/count"}, None),
        ({"gen_ai.request.model": "m", IN: 3}, "llm"),
        ({"gen_ai.response.model": "m", "gen_ai.usage.completion_tokens": 3}, "llm"),
        ({"gen_ai.request.model": "m", "llm.usage.prompt_tokens": 3}, "llm"),
        ({IN: 3}, None),  # of no model: a sum
        ({"gen_ai.agent.name": "a", "gen_ai.request.model": "m", IN: 3}, "agent"),  # Pydantic AI's "agent run" of old
        ({"agent_name": "a", "gen_ai.request.model": "m", IN: 3}, "agent"),
        ({"gen_ai.agent.name": "a", "gen_ai.response.id": "r", "gen_ai.request.model": "m", IN: 3}, "llm"),
        ({"llm.request.type": "chat", "gen_ai.system": "OpenAI"}, "llm"),
        ({"llm.request.type": "rerank"}, None),
        ({"openinference.span.kind": "LLM"}, "llm"),
        ({"openinference.span.kind": "EMBEDDING"}, "llm"),
        ({"openinference.span.kind": "AGENT", "llm.token_count.prompt": 3}, "agent"),
        ({"openinference.span.kind": "CHAIN", "llm.token_count.prompt": 3, "llm.model_name": "m"}, None),
        ({"openinference.span.kind": "TOOL"}, "tool"),
        ({"traceloop.span.kind": "tool"}, "tool"),
        ({"traceloop.span.kind": "agent"}, "agent"),
        ({"traceloop.span.kind": "workflow"}, None),
        ({"ai.toolCall.name": "add"}, "tool"),
        ({"mcp.method.name": "tools/call"}, "tool"),
        ({"mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool"}, "tool"),
        ({"mcp.method.name": "tools/list"}, None),
        ({"mcp.method.name": "tools/call", "fastmcp.provider.type": "FastMCPProvider"}, None),
        ({"gen_ai.operation.name": "chat", "logfire.span_type": "pending_span"}, None),
        ({"gen_ai.operation.name": 7, "openinference.span.kind": None}, None),
    ],
)
def test_roles(attributes, role):
    assert spans.role(span(attributes)) == role


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_c04_input_includes_the_cache():
    found = used({IN: 130_213, OUT: 90, READ: 128_955, WRITE: 1_253})
    assert (found.prompt_tokens, found.cache_read_tokens, found.cache_write_tokens) == (130_213, 128_955, 1_253)
    assert found.anomaly is None  # 5 are left, uncached


def test_c05_parts_that_exceed_the_whole_are_unknown_and_never_clamped():
    found = used({IN: 19, OUT: 3, READ: 900, WRITE: 50})
    assert (found.prompt_tokens, found.completion_tokens) == (19, 3)
    assert (found.cache_read_tokens, found.cache_write_tokens, found.cache_write_1h_tokens) == (None, None, None)
    assert found.anomaly == "900 cache reads and 50 cache writes exceed 19 input tokens"


@pytest.mark.parametrize(
    "name",
    [
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",
        "llm.token_count.prompt_details.cache_write",
    ],
)
def test_spellings_of_cache_writes(name):
    assert used({IN: 100, OUT: 3, name: 50}).cache_write_tokens == 50


def test_writes_of_an_hour():
    five, hour = (f"anthropic.usage.cache_creation.ephemeral_{time}_input_tokens" for time in ("5m", "1h"))
    found = used({IN: 100, OUT: 3, WRITE: 70, five: 30, hour: 40})
    assert (found.cache_write_tokens, found.cache_write_1h_tokens, found.anomaly) == (70, 40, None)


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [
        ("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),
        ("llm.usage.prompt_tokens", "llm.usage.completion_tokens"),
        ("llm.token_count.prompt", "llm.token_count.completion"),
    ],
)
def test_spellings_of_input_and_output(prompt, completion):
    found = used({prompt: 7, completion: 5})
    assert (found.prompt_tokens, found.completion_tokens) == (7, 5)


@pytest.mark.parametrize(
    "name",
    [
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ],
)
def test_spellings_of_reasoning(name):
    assert used({IN: 1, OUT: 9, name: 8}).reasoning_tokens == 8


def test_a_total_tells_what_stands_beside_and_what_inside():
    beside = used({IN: 10, OUT: 5, "gen_ai.usage.reasoning_tokens": 20, "gen_ai.usage.total_tokens": 35})
    assert (beside.completion_tokens, beside.reasoning_tokens, beside.anomaly) == (25, 20, None)
    exclusive = used({IN: 10, OUT: 5, READ: 100, WRITE: 7, "gen_ai.usage.total_tokens": 122})
    assert (exclusive.prompt_tokens, exclusive.cache_read_tokens, exclusive.anomaly) == (117, 100, None)
    wrong = used({IN: 10, OUT: 5, "gen_ai.usage.total_tokens": 16})
    assert (wrong.prompt_tokens, wrong.completion_tokens) == (10, 5)
    assert wrong.anomaly == "the provider's total is 16, but 10 input and 5 output tokens were reported"


def test_nothing_said_is_not_nothing():
    found = used({})
    assert (found.prompt_tokens, found.completion_tokens, found.evidence) == (None, None, "span")
    embedded = used({"gen_ai.operation.name": "embeddings", IN: 7})
    assert (embedded.prompt_tokens, embedded.completion_tokens) == (7, 0)


def test_counts_that_are_text_and_counts_that_are_none():
    assert used({IN: "21023", OUT: 489}).prompt_tokens == 21_023
    for bad in (-1, 2.5, "many", True, 10**10):
        with pytest.raises(UnknownUsage, match="input_tokens"):
            used({IN: bad, OUT: 1})


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_whole_is_never_changed(prompt, completion, read, written):
    found = used({IN: prompt, OUT: completion, READ: read, WRITE: written})
    assert (found.prompt_tokens, found.completion_tokens) == (prompt, completion)
    if read + written > prompt:
        assert found.cache_read_tokens is None
        assert found.anomaly
    else:
        assert (found.cache_read_tokens, found.cache_write_tokens, found.anomaly) == (read, written, None)


def test_compactions_are_an_inference_of_their_own():
    attributes = {IN: 181, OUT: 8, "gen_ai.response.id": "msg_1", "gen_ai.provider.name": "anthropic"}
    whole, compaction = spans.inferences(
        span(
            CHAT
            | attributes
            | {"anthropic.usage.compaction.input_tokens": 55_196, "anthropic.usage.compaction.output_tokens": 83}
        )
    )
    assert (whole.part, whole.prompt_tokens, whole.completion_tokens) == (0, 181, 8)
    assert (compaction.part, compaction.prompt_tokens, compaction.completion_tokens) == (1, 55_196, 83)
    assert (compaction.response_id, compaction.provider, compaction.evidence) == ("msg_1", "anthropic", "span")
    assert "cached" in (compaction.anomaly or "")


# -- evidence ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{"status": "error"}, {}])
def test_a_failure_that_used_nothing_is_no_call(fields):
    failed = CHAT if fields else CHAT | {"error.type": "invalid_request_error"}
    assert spans.inferences(span(failed, **fields)) == []
    [found] = spans.inferences(span(failed | {IN: 4}, **fields))  # a stream that broke
    assert (found.prompt_tokens, found.completion_tokens, found.evidence) == (4, None, "partial")


def test_a_stream_closed_early_is_partial():
    streamed = {"gen_ai.request.stream": True, IN: 4, OUT: 1}
    assert used(streamed).evidence == "partial"
    assert used(streamed, status="ok").evidence == "span"
    assert used(streamed | {"gen_ai.response.finish_reasons": ["stop"]}).evidence == "span"
    assert used(streamed | {"anthropic.message.stop_reason": "end_turn"}).evidence == "span"
    assert used({"llm.invocation_parameters": '{"stream": true}', IN: 4, OUT: 1}).evidence == "partial"


def test_openllmetry_on_anthropic_gives_way_to_any_other_account():
    scope = "opentelemetry.instrumentation.anthropic"
    streamed = used({"gen_ai.is_streaming": True, IN: 55_196, OUT: 15}, scope=scope, status="ok")
    assert (streamed.evidence, streamed.prompt_tokens) == ("partial", 55_196)
    assert "OpenLLMetry" in (streamed.anomaly or "")
    whole = used({IN: 4, OUT: 1}, scope=scope, status="ok")
    assert (whole.evidence, whole.anomaly) == ("partial", None)
    assert used({IN: 4, OUT: 1}, scope="opentelemetry.instrumentation.openai.v1").evidence == "span"


# -- names and ids ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        ("openai", "openai"),
        ("anthropic", "anthropic"),
        ("gcp.gemini", "google"),
        ("gcp.vertex_ai", "google"),
        ("gcp.gen_ai", "google"),
        ("aws.bedrock", "aws"),
        ("azure.ai.openai", "azure"),
        ("az.ai.inference", "azure"),
        ("x_ai", "x-ai"),
        ("mistral_ai", "mistral"),
        ("groq", "groq"),
        ("OpenAI", "openai"),
        ("anthropic.messages", "anthropic"),
        ("google.generative-ai", "google"),
        ("azure-openai.chat", "azure"),
        ("ibm.watsonx.ai", "ibm.watsonx.ai"),
        ("langchain", None),
    ],
)
def test_providers(said, stored):
    for name in ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"):
        assert used({name: said}).provider == stored


def test_what_the_caller_knows_stands_in():
    bare = span({"gen_ai.operation.name": "chat", IN: 1, OUT: 1})
    [found] = spans.inferences(bare, provider="aws", model="claude-x")
    assert (found.provider, found.model) == ("aws", "claude-x")
    with pytest.raises(UnknownUsage, match="does not name its model"):
        spans.inferences(bare)


def test_model_tier_and_cost():
    found = used({"gen_ai.response.model": "m-2026", "openai.response.service_tier": "flex", "operation.cost": 0.25})
    assert (found.model, found.service_tier, found.reported_cost_usd) == ("m-2026", "flex", 0.25)
    assert used({}).model == "m"
    assert used({"gen_ai.usage.cost": 0.5}).reported_cost_usd == 0.5


def test_response_ids():
    assert spans.response_id({"gen_ai.response.id": "msg_1"}) == "msg_1"
    assert spans.response_id({"output.value": '{"id":"msg_2","content":[{"id":"toolu_1"}]}'}) == "msg_2"
    assert spans.response_id({"output.value": '{"choices": [], "id": "chatcmpl-3", "x": 1}'}) == "chatcmpl-3"
    assert spans.response_id({"output.value": "plain text"}) is None
    assert spans.response_id({"output.value": 3}) is None


def test_request_ids():
    assert spans.request_id({"anthropic.request.id": "req_1", "gen_ai.response.id": "msg_1"}) == "req_1"
    assert spans.request_id({"aws.request_id": "a-b"}) == "a-b"
    assert spans.request_id({"http.response.header.x-request-id": ["req_2"]}) == "req_2"
    assert spans.request_id({"gen_ai.response.id": "msg_1", "http.response.header.x-request-id": []}) is None


def test_an_agent_goes_by_its_name():
    both = span({"gen_ai.agent.id": "asst_5j66", "gen_ai.agent.name": "fraud"})
    assert spans.agent(both, None) == "fraud"
    assert spans.agent(span({"gen_ai.agent.id": "asst_5j66"}, name="invoke_agent x"), "agent") == "asst_5j66"
    assert spans.agent(span(name="invoke_agent fraud"), "agent") == "fraud"
    assert spans.agent(span(name="invoke_agent"), "agent") is None
    assert spans.agent(span({"agent.name": "crew"}), "agent") == "crew"
    assert spans.agent(span({"agent.name": "crew"}, name="invoke_agent x"), "llm") is None


def test_only_our_own_attributes_say_whose_a_call_is():
    said = {"agent_ledger.customer_id": "acme", "agent_ledger.feature": " ", "enduser.id": "x", "user.id": "y"}
    assert spans.stated(said) == {"customer_id": "acme"}
    assert spans.session({"session.id": "s", "gen_ai.conversation.id": "c"}) == "c"


def test_moments():
    assert spans.moment(1795466157734570148) == "2026-11-23T20:35:57.734Z"
    for bad in (None, 0, -1, 10**30):
        with pytest.raises(InvalidRecord, match="nanoseconds"):
            spans.moment(bad)
