from __future__ import annotations

import asyncio
import logging
import threading

import anthropic
import pytest
from mcp import Client
from mcp.server import MCPServer
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from replay import Answer, Replay, anthropic_message, anthropic_stream

from agent_ledger import Ledger, attribution
from agent_ledger.attribution import Attribution, attribute
from agent_ledger.capture import otel
from agent_ledger.capture.otel import LedgerSpanProcessor, emit_metrics

MODEL = "claude-sonnet-5"
ASK = {"model": MODEL, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.provider.name": "openai",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
}
CACHED = {
    "cache_read_input_tokens": 50,
    "cache_creation_input_tokens": 70,
    "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 40},
}


@pytest.fixture(autouse=True)
def _scope_of_its_own():
    """What one test notes is not there in the next: pytest runs them all in one context."""
    with attribute():
        yield


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


@pytest.fixture
def traced(ledger):
    """Makes a tracer provider whose spans go to the ledger."""
    providers = []

    def make(*args, resource=None, **defaults):
        provider = TracerProvider(resource=Resource.create(resource or {}), shutdown_on_exit=False)
        provider.add_span_processor(LedgerSpanProcessor(ledger, *args, **defaults))
        providers.append(provider)
        return provider

    yield make
    for provider in providers:
        provider.shutdown()


@pytest.fixture
def tracer(traced):
    return traced().get_tracer("test")


def agent(tracer, name="fraud", **more):
    said = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name, **more}
    return tracer.start_as_current_span(f"invoke_agent {name}", attributes=said)


def chat(tracer, response=None, **more):
    said = {**CHAT, "gen_ai.response.id": response} if response else CHAT
    return tracer.start_as_current_span("chat gpt-4o", kind=SpanKind.CLIENT, attributes={**said, **more})


def tool(tracer, name="add", **more):
    said = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, **more}
    return tracer.start_as_current_span(f"execute_tool {name}", attributes=said)


def sdk(server, provider, **options):
    """A client of the real SDK, whose own spans go to `provider`."""
    return anthropic.Anthropic(
        base_url=server.url, api_key="x", open_telemetry={"tracer_provider": provider}, max_retries=1, **options
    )


def told(ledger, *names):
    return [tuple(row[name] for name in names) for row in ledger.rows("ledger")]


# -- the SDK's own spans ----------------------------------------------------------------------------------------------


def test_a_call_of_the_anthropic_sdk(ledger, traced):
    provider = traced()
    answer = Answer.json(anthropic_message(**CACHED), request_id="req_1")
    who = attribute(customer_id="acme", feature="kyc", session_id="s-1")
    with Replay(answer) as server, sdk(server, provider) as client, agent(provider.get_tracer("app")), who:
        client.messages.create(**ASK)
        client.messages.count_tokens(model=MODEL, messages=ASK["messages"])
    [row] = ledger.rows("usage")
    del row["id"], row["ts"]
    assert {name: value for name, value in row.items() if value is not None} == {
        "agent_id": "fraud", "customer_id": "acme", "feature": "kyc", "session_id": "s-1", "request_id": "req_1",
        "response_id": "msg_01AbCdEfGhIjKlMnOpQrStUv", "part": 0, "model": "claude-sonnet-4-5-20250929",
        "provider": "anthropic", "prompt_tokens": 1320, "completion_tokens": 300, "cache_read_tokens": 50,
        "cache_write_tokens": 70, "cache_write_1h_tokens": 40, "service_tier": "standard", "evidence": "span",
        "tier_tokens": 1320,
    }  # fmt: skip


def test_a_stream_read_to_its_end_and_one_closed_early(ledger, traced):
    provider = traced("a")
    answers = [
        Answer.sse(anthropic_stream(f"msg_{number}AbCdEfGhIjKlMnOpQrStUv"), request_id=f"req_{number}")
        for number in "12"
    ]
    with Replay(*answers) as server, sdk(server, provider) as client:
        with client.messages.stream(**ASK) as stream:
            assert stream.get_final_text() == "Paid."
        events = client.messages.create(stream=True, **ASK)
        next(iter(events))
        events.close()
    assert told(ledger, "agent_id", "request_id", "prompt_tokens", "completion_tokens", "evidence") == [
        ("a", "req_1", 1200, 300, "span"),
        ("a", "req_2", 1200, None, "partial"),
    ]


def test_a_retry_is_one_call_and_an_error_none(ledger, traced):
    provider = traced("a")
    overloaded = Answer.json({"type": "error", "error": {"type": "overloaded_error", "message": "x"}})
    busy = Answer(overloaded.body, status=529, headers={**overloaded.headers, "retry-after-ms": "1"})
    good = Answer.json(anthropic_message(), request_id="req_1")
    with Replay(busy, good, busy) as server, sdk(server, provider) as client:
        client.messages.create(**ASK)
        with pytest.raises(anthropic.APIStatusError):
            client.messages.create(**ASK)
    assert told(ledger, "request_id") == [("req_1",)]


def test_concurrent_calls_keep_their_agents(ledger, traced):
    provider = traced()
    tracer = provider.get_tracer("app")

    def answer(request):
        who = request.json["messages"][0]["content"]
        return Answer.json(anthropic_message(f"msg_{who}"), request_id=f"req_{who}")

    async def run(client, who):
        said = {**ASK, "messages": [{"role": "user", "content": who}]}
        if who.endswith("0"):
            with attribute(agent_id=who):
                await client.messages.create(**said)
        else:
            with agent(tracer, who):
                await client.messages.create(**said)
        with tool(tracer):
            pass

    async def everybody(server):
        client = anthropic.AsyncAnthropic(
            base_url=server.url, api_key="x", open_telemetry={"tracer_provider": provider}
        )
        async with client:
            await asyncio.gather(*(run(client, f"agent-{number:02d}") for number in range(40)))

    with Replay(answer) as server:
        asyncio.run(everybody(server))
    rows = told(ledger, "agent_id", "request_id", "response_id")
    assert sorted(rows) == [(f"agent-{n:02d}", f"req_agent-{n:02d}", f"msg_agent-{n:02d}") for n in range(40)]
    assert len(ledger.rows("audit")) == 40


# -- whose call it is -------------------------------------------------------------------------------------------------


def test_the_order_of_what_is_said(ledger, traced):
    provider = traced("default", resource={"agent_ledger.feature": "of the process"}, customer_id="nobody")
    tracer = provider.get_tracer("app")
    with chat(tracer):
        pass
    with agent(tracer, "by-span", **{"gen_ai.conversation.id": "conv-1"}):
        with chat(tracer):
            pass
        with attribute(agent_id="by-context", customer_id="acme"), chat(tracer):
            pass
        with attribute(agent_id="by-context"), chat(tracer, **{"agent_ledger.agent_id": "stated"}):
            pass
    assert told(ledger, "agent_id", "customer_id", "feature", "session_id") == [
        ("default", "nobody", "of the process", None),
        ("by-span", "nobody", "of the process", "conv-1"),
        ("by-context", "acme", "of the process", "conv-1"),
        ("stated", "nobody", "of the process", "conv-1"),
    ]


def test_nobody_said_who(ledger, tracer):
    with chat(tracer):
        pass
    assert told(ledger, "agent_id") == [("(unattributed)",)]


def test_what_an_agent_says_of_itself_only_later(ledger, tracer):
    with tracer.start_as_current_span("run") as span, tracer.start_as_current_span("step"):
        with chat(tracer):
            pass
        span.set_attributes({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "late"})
        with chat(tracer):
            pass
    assert told(ledger, "agent_id") == [("(unattributed)",), ("late",)]


def test_parents_that_end_before_their_children(ledger, tracer):
    with agent(tracer, "short-lived") as parent:
        child = chat(tracer).__enter__()
        child_later = set_span_in_context(parent)
    child.end()
    with tracer.start_as_current_span("late", context=child_later), chat(tracer):
        pass
    assert told(ledger, "agent_id") == [("short-lived",), ("short-lived",)]


def test_a_thread_belongs_to_its_agent_by_the_trace(ledger, tracer):
    with agent(tracer) as parent:
        context = set_span_in_context(parent)

        def work():
            with tracer.start_as_current_span("step", context=context), chat(tracer):
                pass

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert told(ledger, "agent_id") == [("fraud",)]


# -- calls that are told twice ----------------------------------------------------------------------------------------


def test_two_instrumentations_of_one_response(ledger, tracer):
    response = "msg_01AbCdEfGhIjKlMnOpQrStUv"
    with agent(tracer):
        with chat(tracer, response, **{"anthropic.request.id": "req_1"}):
            pass
        with chat(tracer, response):
            pass
    assert told(ledger, "request_id") == [("req_1",)]  # the second says nothing new


def test_a_call_that_another_observer_recorded_as_well(ledger, tracer):
    response = "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012"
    with attribute(agent_id="a"), chat(tracer, response):
        ledger.stamp_call(agent_id="a", request_id="req_1", response_id=response, model="gpt-4o-2024-08-06",
                          prompt_tokens=100, completion_tokens=20, evidence="response")  # fmt: skip
    assert told(ledger, "request_id", "evidence") == [("req_1", "response"), ("req_1", "span")]
    assert [row["evidence"] for row in ledger.rows("usage")] == ["response"]


def test_a_call_without_a_response_id_that_another_observer_recorded_as_well(ledger, tracer):
    row = {"agent_id": "a", "model": "text-embedding-3-small", "prompt_tokens": 7, "completion_tokens": 0}
    with attribute(agent_id="a"):
        with chat(tracer, **{"gen_ai.operation.name": "embeddings"}):
            ledger.stamp_call(**row, request_id="req_1", evidence="response")
        with chat(tracer):
            pass
    usage = [(row["request_id"], row["evidence"]) for row in ledger.rows("usage")]
    assert usage[0] == ("req_1", "response")
    assert len(usage) == 2
    assert usage[1][0] != "req_1"


def test_who_is_calling_by_the_spans_around(ledger):
    provider = TracerProvider(shutdown_on_exit=False)
    processor = LedgerSpanProcessor(ledger)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("app")
    assert processor.caller() == Attribution()
    stated = {"agent_ledger.customer_id": "acme", "gen_ai.conversation.id": "conv-1"}
    with agent(tracer, "fraud", **stated), tracer.start_as_current_span("step"):
        assert processor.caller() == Attribution("fraud", "acme", session_id="conv-1")
    provider.shutdown()


def test_the_sum_of_an_agent_and_a_wrapper_are_no_calls(ledger, tracer):
    summed = agent(tracer, **{"gen_ai.usage.input_tokens": 300, "gen_ai.request.model": "gpt-4o"})
    with summed, chat(tracer), tracer.start_as_current_span("http"), chat(tracer, "resp_1"):
        pass
    assert told(ledger, "response_id") == [("resp_1",)]


# -- tools ------------------------------------------------------------------------------------------------------------


def test_tools_join_the_call_that_asked_for_them(ledger, tracer):
    with agent(tracer):
        with tool(tracer, "before"):
            pass
        with chat(tracer, "resp_1"):
            pass
        with tool(tracer, "first", **{"gen_ai.tool.call.id": "toolu_1"}) as failing:
            failing.set_status(Status(StatusCode.ERROR))
        with chat(tracer, "resp_2"):
            pass
        with tool(tracer, "second"), agent(tracer, "helper"), chat(tracer, "resp_3"):
            pass
    rows = {row["tool"]: row for row in ledger.rows("audit")}
    assert {name: row["request_id"] for name, row in rows.items()} == {
        "before": None, "first": "resp_1", "second": "resp_2",
    }  # fmt: skip
    assert (rows["first"]["tool_call_id"], rows["first"]["status"]) == ("toolu_1", "error")
    assert {row["agent_id"] for row in rows.values()} == {"fraud"}
    assert len(rows["second"]["tool_call_id"]) == 49  # trace and span


def test_a_tool_joins_by_context_where_there_are_no_agent_spans(ledger, tracer):
    with attribute(agent_id="a"):
        with chat(tracer, "resp_1"):
            pass
        assert attribution.last_request_id() == "resp_1"  # so do tools that have no spans
        with tool(tracer):
            pass
    assert [row["request_id"] for row in ledger.rows("audit")] == ["resp_1"]


def test_a_tool_joins_the_call_that_another_observer_saw(ledger, tracer):
    attribution.note_request("of another agent", attribution.current_run())
    with agent(tracer):
        with tool(tracer, "before"):
            pass
        attribution.note_request("req_1", attribution.current_run())  # as an instrumented client does
        with tool(tracer, "after"):
            pass
    assert [(row["tool"], row["request_id"]) for row in ledger.rows("audit")] == [("before", None), ("after", "req_1")]


def test_an_agent_with_calls_side_by_side_has_no_last_one(ledger, tracer):
    with attribute(agent_id="a"):
        run = attribution.current_run()
        with chat(tracer, "resp_1"), tracer.start_as_current_span("http"), chat(tracer, "resp_1"):
            pass  # one call, told twice
        assert not run.parallel
    with attribute(agent_id="a"):
        run = attribution.current_run()
        one, other = tracer.start_span("chat", attributes=CHAT), tracer.start_span("chat", attributes=CHAT)
        assert run.parallel
        one.end()
        other.end()
    assert not tracer.span_processor._span_processors[0]._calling
    assert len(ledger.rows("usage")) == 3


def test_a_run_of_the_users_own(ledger, tracer):
    with attribute(agent_id="a", request_id="run-1"):
        for _ in range(2):
            with chat(tracer):
                pass
        with tool(tracer):
            pass
    assert [row["request_id"] for row in ledger.rows("usage")] == ["run-1", "run-1"]
    assert [row["request_id"] for row in ledger.rows("audit")] == ["run-1"]


def test_an_mcp_call_is_one_call_with_the_real_sdk(ledger, traced, monkeypatch):
    provider = traced()
    tracer = provider.get_tracer("app")
    monkeypatch.setattr("mcp.shared._otel._tracer", provider.get_tracer("mcp-python-sdk"))
    server = MCPServer("calc")

    @server.tool()
    def add(a: int, b: int) -> int:
        if a < 0:
            raise ValueError("negative")
        return a + b

    async def run():
        async with Client(server) as client:
            with agent(tracer):
                with chat(tracer, "resp_1"):
                    pass
                with tool(tracer, "calc_add", **{"gen_ai.tool.call.id": "toolu_1"}):
                    await client.call_tool("add", {"a": 1, "b": 2})
                await client.call_tool("add", {"a": -1, "b": 2})

    asyncio.run(run())
    rows = [
        tuple(row[name] for name in ("tool", "request_id", "agent_id", "status", "error_type"))
        for row in ledger.rows("audit")
    ]
    assert rows == [("calc_add", "resp_1", "fraud", "ok", None), ("add", "resp_1", "fraud", "error", "tool_error")]
    assert ledger.rows("audit")[0]["tool_call_id"] == "toolu_1"


# -- never in the way -------------------------------------------------------------------------------------------------


def test_counts_that_nobody_understands(ledger, tracer):
    with chat(tracer, "resp_1", **{"gen_ai.usage.input_tokens": "lots"}):
        pass
    [row] = ledger.rows("ledger")
    assert (row["model"], row["prompt_tokens"], row["response_id"]) == ("gpt-4o", None, "resp_1")
    assert row["anomaly"].startswith("not understood: gen_ai.usage.input_tokens is 'lots'")


def test_a_bug_is_logged_once_and_hurts_nobody(ledger, tracer, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(otel.span_tree, "mark", broken)
    with caplog.at_level(logging.WARNING, "agent_ledger"):
        for _ in range(3):
            with chat(tracer):
                pass
    assert len({record.message for record in caplog.records}) == len(caplog.records) <= 2
    assert ledger.rows("ledger") == []


def test_spans_that_never_end_do_not_pile_up(tracer, monkeypatch):
    monkeypatch.setattr(otel, "_MOST_OPEN", 10)
    monkeypatch.setattr(otel, "_MOST_ENDED", 5)
    spans = [tracer.start_span(f"span {number}") for number in range(50)]
    processor = tracer.span_processor._span_processors[0]
    assert len(processor._open) == 10
    for span in spans:
        span.end()
    assert len(processor._open) == 0
    assert len(processor._ended) == 5


def test_prompts_are_let_go_when_a_span_ends(tracer):
    with agent(tracer, **{"gen_ai.input.messages": "secret"}) as span:
        context = span.get_span_context()
    node = tracer.span_processor._span_processors[0]._ended[context.trace_id, context.span_id]
    assert node.source is None
    assert "secret" not in repr(node)


def test_a_processor_that_is_added_while_spans_are_open(ledger):
    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("app")
    with attribute(agent_id="a"), chat(tracer):
        provider.add_span_processor(LedgerSpanProcessor(ledger))
    assert told(ledger, "agent_id") == [("a",)]
    assert provider.force_flush()
    provider.shutdown()
    with chat(tracer):
        pass


# -- metrics ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def measured():
    """A meter provider, and a function that gives its points: (sorted attributes, count, sum, bounds)."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)

    def points():
        found = []
        data = reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    assert (metric.name, metric.unit) == ("gen_ai.client.token.usage", "{token}")
                    found += [(dict(p.attributes), p.count, p.sum, p.explicit_bounds) for p in metric.data.data_points]
        return found

    yield provider, points
    provider.shutdown()


def test_the_standard_metric(ledger, measured):
    provider, points = measured
    stop = emit_metrics(ledger, provider)
    row = {"agent_id": "fraud", "model": "gemini-3-pro", "provider": "google", "prompt_tokens": 1200}
    ledger.stamp_call(**row, completion_tokens=300)
    ledger.stamp_call(**row, completion_tokens=None)
    ledger.stamp_tool_call(tool="add")
    stop()
    ledger.stamp_call(**row, completion_tokens=1)
    common = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "gcp.gen_ai", "gen_ai.response.model": "gemini-3-pro",
        "gen_ai.agent.name": "fraud",
    }  # fmt: skip
    assert [point[:3] for point in points()] == [
        ({**common, "gen_ai.token.type": "input"}, 2, 2400),
        ({**common, "gen_ai.token.type": "output"}, 1, 300),
    ]
    assert tuple(points()[0][3]) == tuple(4**power for power in range(14))


def test_a_response_that_two_observers_record_is_measured_once(ledger, measured):
    provider, points = measured
    emit_metrics(ledger, provider)
    row = {"agent_id": "a", "model": "text-embedding-3", "prompt_tokens": 7, "completion_tokens": None}
    for evidence in ("response", "span"):
        ledger.stamp_call(**row, response_id="x" * 20, evidence=evidence)
    [(attributes, count, total, _)] = points()
    assert (count, total) == (1, 7)
    assert (attributes["gen_ai.operation.name"], attributes["gen_ai.provider.name"]) == ("embeddings", "_OTHER")
