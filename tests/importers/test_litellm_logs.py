from __future__ import annotations

import base64
import csv
import gzip
import io
import json
from dataclasses import asdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import counted

from agent_ledger import Ledger
from agent_ledger.errors import ImportFailed
from agent_ledger.hookspecs import Defaults
from agent_ledger.importers import litellm, litellm_usage
from agent_ledger.importers.litellm import LiteLLM
from agent_ledger.prices import names

IMPORTER = LiteLLM()
USAGE = {
    "prompt_tokens": 1600,
    "completion_tokens": 300,
    "total_tokens": 1900,
    "completion_tokens_details": {"reasoning_tokens": 40, "text_tokens": 260},
    "prompt_tokens_details": {
        "audio_tokens": None, "cached_tokens": 300, "cache_creation_tokens": 100,
        "cache_creation_token_details": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
    },
    "server_tool_use": {"web_search_requests": 2},
    "cache_creation_input_tokens": 100, "cache_read_input_tokens": 300,
    "inference_geo": "us", "speed": None, "service_tier": "standard", "iterations": None,
}  # fmt: skip
COUNTS = {name: USAGE[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
COMPARED = (
    *("model", "provider", "region", "prompt_tokens", "completion_tokens"),
    *("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
)
MADE_UP = "chatcmpl-84b0bc0c-ad4a-4e78-84fe-bdbf5cfcbee2"
CALL_ID = "d801d683-f18e-4d54-b04b-50c6c77e8d6a"


def row(metadata=None, **changes):
    """A row of LiteLLM_SpendLogs, as Postgres and Prisma write it."""
    usage = {name: value for name, value in USAGE.items() if name not in COUNTS}
    return {
        "request_id": MADE_UP, "call_type": "acompletion", "api_key": "", "cache_hit": "None", "spend": 0.01,
        "startTime": "2026-03-01 20:52:43.667937+00:00", "endTime": "2026-03-01 20:52:44.667937+00:00",
        "model": "claude-sonnet-5", "metadata": json.dumps({"additional_usage_values": usage} | (metadata or {})),
        **COUNTS, "request_tags": '["team:a"]', "end_user": "", "model_group": "", "custom_llm_provider": "anthropic",
        "messages": "{}", "response": "{}", "session_id": "sess-1", "request_duration_ms": 1000, "status": "success",
        "agent_id": "fraud", "billing_agent_id": None, "mcp_namespaced_tool_name": None, "litellm_call_id": CALL_ID,
        **changes,
    }  # fmt: skip


def payload(metadata=None, headers=None, response=None, **changes):
    """A StandardLoggingPayload."""
    answer = {"id": MADE_UP, "object": "chat.completion", "model": "claude-sonnet-5", "usage": USAGE}
    return {
        "id": MADE_UP, "litellm_call_id": CALL_ID, "trace_id": "trace-1", "session_id": "", "call_type": "completion",
        "cache_hit": None, "stream": None, "status": "success", "custom_llm_provider": "anthropic",
        "startTime": 1795467163.667937, "endTime": 1795467163.984584, "model": "claude-sonnet-5",
        "metadata": {"usage_object": USAGE, **(metadata or {})}, "response_cost": 0.01, **COUNTS,
        "request_tags": [], "end_user": None, "model_group": "", "messages": [{"role": "user", "content": "secret"}],
        "response": {**answer, **(response or {})},
        "hidden_params": {"additional_headers": {"llm_provider-request-id": "req_1"} if headers is None else headers},
        **changes,
    }  # fmt: skip


@pytest.fixture
def log(tmp_path, read):
    def run(*records, agent_id="a", **defaults):
        path = tmp_path / "log.jsonl"
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records), "utf-8")
        return read(IMPORTER, path, agent_id=agent_id, **defaults)

    return run


def one(found):
    assert found.reasons == []
    (call,) = found.facts
    return call


# -- counts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [row, payload])
def test_anthropic_counts_are_inclusive_already(log, make):
    call = one(log(make()))
    assert (call.model, call.provider, call.region, call.service_tier) == (
        "claude-sonnet-5",
        "anthropic",
        "us",
        "standard",
    )
    assert (call.prompt_tokens, call.completion_tokens, call.reasoning_tokens) == (1600, 300, 40)
    assert (call.cache_read_tokens, call.cache_write_tokens, call.cache_write_1h_tokens) == (300, 100, 40)
    assert (call.web_search_requests, call.evidence, call.anomaly) == (2, "log", None)


@pytest.mark.parametrize("make", [row, payload])
def test_openai_counts(log, make):
    usage = {
        "completion_tokens_details": {"reasoning_tokens": 7, "audio_tokens": 5},
        "prompt_tokens_details": {"cached_tokens": 70, "cache_write_tokens": 20, "audio_tokens": 3},
    }
    metadata = {"usage_object": usage, "additional_usage_values": {**usage, "cache_read_input_tokens": 70}}
    record = make(metadata, custom_llm_provider="openai", model="gpt-5", prompt_tokens=100, completion_tokens=20)
    record |= {"total_tokens": 120, "response": {"model": "gpt-5-2025-08-07", "service_tier": "flex", "usage": usage}}
    call = one(log(record))
    assert (call.model, call.provider, call.service_tier) == ("gpt-5-2025-08-07", "openai", "flex")
    assert (call.prompt_tokens, call.completion_tokens, call.reasoning_tokens) == (100, 20, 7)
    assert (call.cache_read_tokens, call.cache_write_tokens, call.cache_write_1h_tokens) == (70, 20, None)
    assert call.usage == {"input_audio_tokens": 3, "output_audio_tokens": 5}
    assert call.reported_cost_usd is None


def test_iterations_are_told_apart_again(log):
    """LiteLLM sums them up and prices all at the model of the request."""
    cache = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    iterations = [
        {"type": "compaction", "input_tokens": 100, "output_tokens": 131, **cache},
        {"type": "advisor_message", "model": "claude-opus-5", "input_tokens": 50, "output_tokens": 9, **cache},
        {"type": "message", "input_tokens": 229, "output_tokens": 5, **cache},
    ]
    usage = {"iterations": iterations, "server_tool_use": {"web_search_requests": 1}, "service_tier": "standard"}
    record = payload({"usage_object": usage}, prompt_tokens=379, completion_tokens=145, total_tokens=524, response={})
    record["response"] = {"model": "claude-sonnet-5"}
    calls = log(record).calls
    assert [(call.part, call.model, call.prompt_tokens, call.completion_tokens) for call in calls] == [
        (0, "claude-sonnet-5", 100, 131),
        (1, "claude-opus-5", 50, 9),
        (2, "claude-sonnet-5", 229, 5),
    ]
    assert [call.web_search_requests for call in calls] == [None, None, 1]
    assert {call.anomaly for call in calls} == {None}
    assert {call.request_id for call in calls} == {"req_1"}


def test_searches_of_responses_are_counted(log):
    output = [{"type": "web_search_call", "action": {"type": kind}} for kind in ("search", "open_page", "search")]
    record = payload({"usage_object": {}}, call_type="responses", custom_llm_provider="openai", model="gpt-5")
    record["response"] = {"object": "response", "model": "gpt-5-2025-08-07", "output": output, "usage": None}
    assert one(log(record)).web_search_requests == 2
    gemini = {"prompt_tokens_details": {"web_search_requests": 3}}
    record = payload({"usage_object": gemini}, custom_llm_provider="gemini", model="gemini-3-pro")
    record["response"] = {"model": "gemini-3-pro"}
    assert one(log(record)).web_search_requests == 3


def test_hour_writes_elsewhere_than_at_anthropic(log):
    call = one(log(row(custom_llm_provider="openrouter", model="openrouter/anthropic/claude-sonnet-5")))
    assert (call.model, call.provider) == ("anthropic/claude-sonnet-5", "openrouter")
    assert (call.prompt_tokens, call.cache_write_tokens, call.cache_write_1h_tokens) == (1600, 100, 40)


def test_parts_that_contradict_the_whole_are_unknown(log):
    call = one(log(row(prompt_tokens=200, total_tokens=500)))
    assert (call.prompt_tokens, call.cache_read_tokens) == (200, None)
    assert "exceed 200 input tokens" in call.anomaly


def test_embeddings_make_nothing(log):
    record = row({"additional_usage_values": {}}, call_type="aembedding", model="text-embedding-3-small")
    record |= {"custom_llm_provider": "openai", "completion_tokens": 0, "prompt_tokens": 7, "total_tokens": 7}
    call = one(log(record | {"request_id": CALL_ID}))
    assert (call.prompt_tokens, call.completion_tokens, call.request_id) == (7, 0, CALL_ID)
    assert call.response_id is None


def test_c35_a_call_without_counts_has_unknown_tokens_and_not_none(log):
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "spend": 0}
    call = one(log(row(**nothing)))
    assert (call.prompt_tokens, call.completion_tokens) == (None, None)
    assert "include_usage" in call.anomaly
    assert one(log(row(**nothing, call_type="anthropic_messages"))).prompt_tokens is None


# -- what it cost -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [row, payload])
def test_c16_what_litellm_computed_is_no_price(log, make):
    assert one(log(make(spend=0.0, response_cost=0.0))).reported_cost_usd is None
    record = make({"usage_object": {**USAGE, "cost": 0.5}, "additional_usage_values": {"cost": 0.5}})
    assert one(log(record)).reported_cost_usd is None


def test_openrouters_own_cost_is_kept(log):
    usage = {"cost": 0.25, "is_byok": False, "cost_details": {"upstream_inference_cost": None}}
    record = payload({"usage_object": usage}, custom_llm_provider="openrouter", model="meta-llama/llama-4")
    record["response"] = {"model": "meta-llama/llama-4"}
    assert one(log(record)).reported_cost_usd == 0.25


# -- what is no call --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "failure", "prompt_tokens": 0, "completion_tokens": 0, "spend": 0},
        {"cache_hit": "True", "spend": 0, "request_id": f"{MADE_UP}_cache_hit1795467163.6"},
        {"cache_hit": True},
        {"call_type": "acreate_batch", "prompt_tokens": 0, "completion_tokens": 0, "spend": 0},
        {"call_type": "aget_responses", "prompt_tokens": 0, "completion_tokens": 0, "spend": 0},
        {"call_type": "amoderation", "prompt_tokens": 0, "completion_tokens": 0, "spend": 0},
        {"call_type": "pass_through_endpoint", "prompt_tokens": 0, "completion_tokens": 0, "spend": 0.0},
    ],
)
def test_what_costs_nothing_is_no_call_and_needs_no_agent(log, changes):
    assert log(row(**{"agent_id": None, **changes}), agent_id=None).facts == []


def test_failures_of_old_versions(log):
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert log(row({"status": "failure"}, status=None, **nothing)).facts == []


def test_a_stream_that_broke_has_its_counts_so_far(log):
    call = one(log(row(status="failure")))
    assert (call.evidence, call.prompt_tokens) == ("partial", 1600)


def test_what_is_billed_by_something_else_is_refused(log):
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    found = log(row(call_type="aimage_generation", model="dall-e-3", spend=0.04, **nothing), row())
    assert len(found.calls) == 1
    ((line, reason),) = found.reasons
    assert line == 1
    assert "aimage_generation of dall-e-3 cost 0.04 dollars" in reason


def test_c29_a_batch_is_one_call(log):
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "spend": 0}
    made = row(call_type="acreate_batch", request_id="batch_1", **nothing)
    polled = row(call_type="aretrieve_batch", request_id="batch_1_batch_cost", **nothing)
    final = row({"batch_models": ["gpt-5", "gpt-5"]}, call_type="aretrieve_batch", request_id="batch_1_batch_cost")
    call = one(log(made, polled, final | {"model": "", "custom_llm_provider": "openai"}))
    assert (call.request_id, call.response_id, call.service_tier, call.model) == ("batch_1", None, "batch", "gpt-5")
    mixed = row({"batch_models": ["gpt-5", "gpt-4o"]}, call_type="aretrieve_batch", request_id="batch_1")
    assert "a batch of several models: gpt-4o, gpt-5" in one(log(mixed)).anomaly


def test_tool_calls_through_the_gateway(log):
    tool = {"name": "get_page", "mcp_server_name": "wiki", "namespaced_tool_name": "wiki/get_page",
            "arguments": {"title": "secret"}, "result": {"content": "secret"}}  # fmt: skip
    changes = {"call_type": "call_mcp_tool", "model": "MCP: get_page", "spend": 0.002, "request_id": CALL_ID,
               "prompt_tokens": 0, "completion_tokens": 0, "status": "success"}  # fmt: skip
    call = one(log(row({"mcp_tool_call_metadata": tool}, **changes)))
    assert (call.tool, call.server, call.agent_id, call.tool_call_id) == ("get_page", "wiki", "fraud", CALL_ID)
    assert (call.cost_usd, call.duration_ms, call.status, call.request_id) == (0.002, 1000, "ok", None)
    assert len(call.arguments_digest) == 64
    bare = changes | {"mcp_namespaced_tool_name": "wiki/get_page", "spend": 0, "status": "failure"}
    call = one(log(row(**bare | {"agent_id": None}), agent_id=None))
    assert (call.tool, call.server, call.agent_id, call.status) == ("get_page", "wiki", None, "error")
    assert (call.cost_usd, call.arguments_digest) == (None, None)
    call = one(log(payload({"mcp_tool_call_metadata": {"name": "t"}}, call_type="call_mcp_tool", status="failure")))
    assert (call.tool, call.server, call.duration_ms, call.status) == ("t", None, 317, "error")


# -- ids --------------------------------------------------------------------------------------------------------------


def test_the_providers_request_id_comes_first(log):
    call = one(log(payload()))
    assert (call.request_id, call.response_id) == ("req_1", None), "the response's id is LiteLLM's own"
    headers = {"llm_provider-x-request-id": "req_2", "request-id": "of LiteLLM"}
    own = "chatcmpl-E1mBQt42vYTsKNd5wnyJlT0db7v9S"
    call = one(log(payload(headers=headers, id=own, custom_llm_provider="openai")))
    assert (call.request_id, call.response_id) == ("req_2", own)
    assert one(log(payload(custom_llm_provider="groq"))).response_id == MADE_UP, "Groq's ids look like that"
    assert one(log(payload(headers={"llm_provider-x-amzn-requestid": "aws-1"}))).request_id == "aws-1"


def test_without_it_the_id_of_the_response_has_to_do(log):
    call = one(log(row()))
    assert (call.request_id, call.response_id) == (MADE_UP, MADE_UP), "who calls the gateway sees this id"
    call = one(log(row(request_id="msg_01AbCdEfGhIjKlMnOpQrStUv", call_type="anthropic_messages")))
    assert call.response_id == "msg_01AbCdEfGhIjKlMnOpQrStUv"


@pytest.mark.parametrize("nothing", ["None", "null", "", None])
def test_c27_an_id_that_is_none_is_no_id(log, nothing):
    call = one(log(payload(headers={"llm_provider-request-id": "None"}, id=nothing)))
    assert (call.request_id, call.response_id) == (CALL_ID, None)
    call = one(log(row(request_id=nothing, litellm_call_id=nothing)))
    assert call.request_id.startswith("sha256:")
    assert log(row(request_id=nothing, litellm_call_id=nothing)).calls == [call], "the same each time"


def test_responses_are_unpacked_from_litellms_id(log):
    packed = base64.b64encode(b"litellm:custom_llm_provider:openai;model_id:None;response_id:resp_0123456789").decode()
    record = payload(id=f"resp_{packed}", call_type="aresponses", custom_llm_provider="openai")
    assert one(log(record)).response_id == "resp_0123456789"
    for plain in ("resp_0123456789abcdef0123456789abcdef", "resp_ä", "resp_QUJD"):
        assert one(log(payload(id=plain, call_type="aresponses"))).response_id == plain


# -- who and what -----------------------------------------------------------------------------------------------------


def test_who_called(log):
    assert one(log(row(), customer_id="c")).agent_id == "fraud"
    assert one(log(row(billing_agent_id="payer"))).agent_id == "payer"
    told = {"agent_id": "told", "feature": "search", "customer_id": "acme", "session_id": "s"}
    call = one(log(row({"spend_logs_metadata": told}, agent_id=None, end_user="eve", session_id="s2"), feature="f"))
    assert (call.agent_id, call.feature, call.customer_id, call.session_id) == ("told", "search", "acme", "s")
    call = one(log(payload({"requester_metadata": told}), session_id="s2"))
    assert (call.agent_id, call.session_id) == ("told", "s")
    call = one(log(payload(request_tags=["agent:tagged", "User-Agent: x", 7], end_user="eve", trace_id=None)))
    assert (call.agent_id, call.customer_id, call.session_id) == ("tagged", "eve", None)
    assert one(log(payload())).session_id == "trace-1"
    assert one(log(payload(), session_id="s2")).session_id == "s2"
    assert one(log(payload(), agent_id="default", customer_id="acme")).customer_id == "acme"


def test_a_call_of_nobody_is_refused(log):
    ((_, reason),) = log(payload(), agent_id=None).reasons
    assert "--agent-id" in reason


@pytest.mark.parametrize(
    ("litellm_name", "logged", "provider", "model"),
    [
        ("openai", "openai/gpt-4o", "openai", "gpt-4o"),
        ("openai", "openai/responses/gpt-5", "openai", "gpt-5"),
        ("openai", "my-llama", None, "my-llama"),
        ("anthropic", "anthropic/claude-sonnet-5", "anthropic", "claude-sonnet-5"),
        ("anthropic", "deepseek-chat", None, "deepseek-chat"),
        ("azure", "azure/my-deployment", "azure", "my-deployment"),
        ("azure_ai", "azure_ai/claude-sonnet-5", "azure", "claude-sonnet-5"),
        ("bedrock", "bedrock/us.anthropic.claude-sonnet-5-v1:0", "aws", "us.anthropic.claude-sonnet-5-v1:0"),
        ("bedrock", "bedrock/converse/amazon.nova-pro-v1:0", "aws", "amazon.nova-pro-v1:0"),
        ("bedrock", "bedrock/us-east-1/anthropic.claude-v2", "aws", "anthropic.claude-v2"),
        ("gemini", "gemini/gemini-3-pro", "google", "gemini-3-pro"),
        ("vertex_ai", "vertex_ai/claude-sonnet-5@20260101", "google", "claude-sonnet-5@20260101"),
        ("vertex_ai", "gemini-3-pro", "google", "gemini-3-pro"),
        ("xai", "xai/grok-4", "x-ai", "grok-4"),
        ("mistral", "mistral/mistral-large", "mistral", "mistral-large"),
        ("groq", "groq/openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"),
        ("deepseek", "deepseek/deepseek-chat", "deepseek", "deepseek-chat"),
        ("together_ai", "together_ai/meta-llama/Llama-4", "together", "meta-llama/Llama-4"),
        ("fireworks_ai", "fireworks_ai/accounts/f/models/x", "fireworks", "accounts/f/models/x"),
        ("openrouter", "openrouter/anthropic/claude-sonnet-5", "openrouter", "anthropic/claude-sonnet-5"),
        ("litellm_proxy", "litellm_proxy/gpt-4o", None, "gpt-4o"),
        ("cerebras", "cerebras/llama-4", "cerebras", "llama-4"),
        ("", "xai/grok-4", "x-ai", "grok-4"),
        ("", "gpt-4o", "openai", "gpt-4o"),
        ("", "somebody/model", None, "somebody/model"),
    ],
)
def test_models_and_providers(log, litellm_name, logged, provider, model):
    call = one(log(row(custom_llm_provider=litellm_name, model=logged)))
    assert (call.provider, call.model) == (provider, model)
    assert (call.prompt_tokens, call.cache_read_tokens, call.cache_write_tokens) == (1600, 300, 100)


def test_the_model_that_answered(log):
    answered = {"response": {"model": "gpt-4o-2024-08-06"}, "custom_llm_provider": "azure"}
    call = one(log(payload(model="azure/my-deployment") | answered))
    assert (call.model, call.provider) == ("gpt-4o-2024-08-06", "azure")
    grouped = answered | {"custom_llm_provider": "openai", "model_group": "gpt-4o-2024-08-06"}
    call = one(log(payload(model="openai/gpt-4o") | grouped))
    assert call.model == "gpt-4o", "a model group's name is nobody's model"
    call = one(log(payload(model="openai/gpt-4o") | answered | {"response": "redacted-by-litellm"}))
    assert call.model == "openai/gpt-4o", "only Azure's own prefix is taken off"
    ((_, reason),) = log(row(model="")).reasons
    assert "model" in reason


@pytest.mark.parametrize(("litellm_name", "ours"), sorted(litellm_usage._PROVIDERS.items(), key=str))
def test_the_names_of_providers_are_those_that_prices_are_found_by(litellm_name, ours):
    if ours is not None and litellm_name not in ("aiohttp_openai", "anthropic_text", "ollama_chat"):
        found = names.litellm_names(ours, names.genai_id(ours))
        assert any(litellm_name.startswith(name) for name in found), (litellm_name, found)


# -- files ------------------------------------------------------------------------------------------------------------


def as_csv(*rows):
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    for one_row in rows:
        table.writerow({name: "" if value is None else value for name, value in one_row.items()})
    return text.getvalue()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.json", lambda rows: json.dumps(rows)),
        ("a.json", lambda rows: json.dumps(rows, indent=1)),
        ("a.jsonl", lambda rows: "\n".join(map(json.dumps, rows))),
        ("a.json", lambda rows: "\n\n".join(map(json.dumps, rows)) + "\n"),
        ("a.csv", lambda rows: as_csv(*rows)),
    ],
)
def test_every_kind_of_file(tmp_path, read, name, write, packed):
    rows = [row(startTime="2026-03-01 20:52:43.667"), row(request_id="b", startTime="2026-03-01 20:52:43.667+00")]
    data = write(rows).encode()
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(data) if packed else data)
    found = read(IMPORTER, tmp_path)
    assert found.reasons == []
    assert [call.request_id for call in found.calls] == [MADE_UP, "b"]
    assert [call.prompt_tokens for call in found.calls] == [1600, 1600]
    assert {call.ts for call in found.calls} == {"2026-03-01T20:52:43.667Z"}
    assert found.bytes_read == path.stat().st_size


def test_one_payload_per_file_however_it_is_written(tmp_path, read):
    (tmp_path / "a.json").write_text(json.dumps(payload()))
    (tmp_path / "b.json").write_text(json.dumps(payload(), indent=2))
    assert [call.request_id for call in read(IMPORTER, tmp_path, agent_id="a").calls] == ["req_1", "req_1"]


def test_prompts_that_were_logged_too_may_be_long(tmp_path, read):
    path = tmp_path / "a.csv"
    path.write_text(as_csv(row(messages="x" * 300_000), row(request_id="b", messages='line\nwith "quotes"'), row()))
    limit = csv.field_size_limit()
    found = read(IMPORTER, path)
    assert len(found.calls) == 3
    assert csv.field_size_limit() == limit


def test_a_large_array_is_read_piece_by_piece(tmp_path, read):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([row(request_id=str(number), messages="ä" * 700_000) for number in range(6)]))
    assert [call.request_id for call in read(IMPORTER, path).calls] == list("012345")


@pytest.mark.parametrize(
    ("text", "calls", "reason"),
    [
        ("[%s, 7, %s]", 1, "record 2 is cut off or no JSON object"),
        ("[%s, %.99s", 1, "record 2 is cut off or no JSON object"),
        ("[%s", 1, "record 2 is cut off"),
        ("%s\n%.99s", 1, "the line is cut off"),
        ("%s\n7\n%s", 2, "the line is a number"),
        ('%s\n{"a": 1}\n%s', 2, "neither a row of LiteLLM_SpendLogs nor a StandardLoggingPayload"),
        ('{\n"a": 1\n', 0, "is not JSON"),
        ("call_type,request_id\na,b,c\n", 0, "3 cells, the header has 2"),
        ('call_type,request_id\na,"b"c\n', 0, "not CSV"),
        ('call_type,request_id\na,"b\n', 0, "not CSV"),
    ],
)
def test_damaged_files(tmp_path, read, text, calls, reason):
    path = tmp_path / "a"
    record = json.dumps(row())
    path.write_text(text.replace("%.99s", record[:99]).replace("%s", record))
    found = read(IMPORTER, path)
    assert len(found.calls) == calls
    assert reason in found.reasons[0][1]


def test_what_is_no_log_at_all(tmp_path, read):
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(ImportFailed, match="empty"):
        read(IMPORTER, tmp_path / "a.csv")
    (tmp_path / "x").mkdir()
    with pytest.raises(ImportFailed, match="holds no"):
        read(IMPORTER, tmp_path / "x")


def test_metadata_that_is_cut_off_is_refused(log):
    ((_, reason),) = log(row(metadata=None) | {"metadata": '{"usage_object": {"pro'}).reasons
    assert "metadata" in reason


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.lists(st.integers(), max_size=2)
)
VALUES |= st.dictionaries(st.sampled_from([*USAGE, "model", "additional_headers", "usage_object", "id"]), VALUES)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted({*row(), *payload()})), value=VALUES, make=st.sampled_from([row, payload]))
def test_any_value_in_any_field(log, name, value, make):
    record = make()
    record[name] = value
    found = log(record)
    assert len(found.facts) <= 1
    assert all("\n" not in said for _, said in found.reasons)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(USAGE)), value=VALUES)
def test_any_value_in_the_usage(log, name, value):
    found = log(payload({"usage_object": {**USAGE, name: value}}, response={"usage": None}))
    assert len(found.calls) + len(found.reasons) == 1


# -- in the ledger ----------------------------------------------------------------------------------------------------


def record_all(ledger: Ledger, *records):
    for record in records:
        for fact in litellm.facts(record, Defaults(agent_id="a")):
            ledger.record_call(**asdict(fact))


@pytest.mark.usefixtures("no_sources")
def test_importing_again_adds_nothing(ledger):
    for _ in range(3):
        record_all(ledger, row(), payload(), payload(headers={"llm_provider-request-id": "req_2"}))
    assert len(counted(ledger)) == 3
    assert len(ledger.rows("ledger")) == 3


@pytest.mark.usefixtures("no_sources")
def test_c26_c28_ids_that_repeat_lose_nothing(ledger):
    server = {"custom_llm_provider": "openai", "model": "m", "headers": {}}
    more = {"prompt_tokens": 1700, "total_tokens": 2000}
    record_all(
        ledger,
        payload(**server, id="chatcmpl-1"),
        payload(**server, id="chatcmpl-1", litellm_call_id="another", **more),  # a server that counts from 1
        payload(**server, id="chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012"),
        payload(**server, id="chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz345", **more),  # a call id that the caller used again
    )
    assert sorted(call["prompt_tokens"] for call in counted(ledger)) == [1600, 1600, 1700, 1700]


@pytest.mark.usefixtures("no_sources")
def test_c30_a_call_that_another_saw_too_counts_once(ledger):
    sdk = {"agent_id": "a", "model": "claude-sonnet-5", "provider": "anthropic", "prompt_tokens": 1600,
           "completion_tokens": 300, "evidence": "response", "response_id": "msg_01AbCdEfGhIjKlMnOpQrStUv"}  # fmt: skip
    ledger.record_call(**sdk, request_id="req_1", ts="2026-11-23T20:52:43.600Z")
    record_all(ledger, payload())
    (call,) = counted(ledger)
    assert (call["response_id"], call["evidence"]) == ("msg_01AbCdEfGhIjKlMnOpQrStUv", "response")
    gateway = {**sdk, "response_id": MADE_UP, "request_id": "x"}  # OpenAI's client, which talked to LiteLLM's proxy
    ledger.record_call(**gateway, ts="2026-03-01T20:52:43.600Z")
    record_all(ledger, row())
    assert len(ledger.rows("ledger")) == 4
    assert {call["response_id"] for call in counted(ledger)} == {"msg_01AbCdEfGhIjKlMnOpQrStUv", MADE_UP}


# -- samples ----------------------------------------------------------------------------------------------------------


def test_sampled_rows_and_payloads_tell_the_same(samples, read):
    rows = read(IMPORTER, samples / "litellm" / "spend_logs_rows.json")
    payloads = read(IMPORTER, samples / "litellm" / "standard_logging_payloads.json", agent_id="agent-1")
    assert rows.reasons == payloads.reasons == []
    assert len(rows.calls) == 3
    assert [call.part for call in payloads.calls] == [0, 0, 0, 1], "one failed, one has two iterations"
    by_time = {call.ts: call for call in payloads.calls}
    for call in rows.calls:
        if found := by_time.get(call.ts):
            for name in (*COMPARED, "reasoning_tokens", "session_id", "agent_id"):
                assert getattr(call, name) == getattr(found, name), name
    assert {call.agent_id for call in rows.calls} == {"agent-1"}
    assert "req_fake_anthropic_0014_json" in {call.request_id for call in payloads.calls}
    for call in (*rows.calls, *payloads.calls):
        assert call.reported_cost_usd is None
        assert call.anomaly is None


def test_a_sampled_payload_is_what_the_provider_said(samples, read):
    from agent_ledger.usage import inferences

    payloads = read(IMPORTER, samples / "litellm" / "standard_logging_payloads.json", agent_id="a").calls
    path = samples / "llm_responses" / "anthropic" / "0132.json"
    if not path.is_file():
        pytest.skip(f"the sample is not there: {path}")
    wanted = inferences(json.loads(path.read_text("utf-8")))
    found = [call for call in payloads if call.request_id == "req_fake_anthropic_0132_json"]
    assert len(found) == len(wanted) == 2
    for call, inference in zip(found, wanted, strict=True):
        for name in ("part", "service_tier", *COMPARED):
            assert getattr(call, name) == getattr(inference, name), name
