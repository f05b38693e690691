from __future__ import annotations

import gzip
import json
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_ledger import Ledger
from agent_ledger.errors import ImportFailed
from agent_ledger.importers import lines, otlp
from agent_ledger.importers.otlp import Otlp
from agent_ledger.records import Call

IMPORTER = Otlp()
START = 1_795_466_157_734_570_148
MS = 10**6


def span(id_, parent=None, *, at=0, lasts=10, trace=1, name="span", kind=1, status=0, **attributes):
    """A span as OTLP/JSON has it; times in milliseconds."""
    said = {key.replace("__", "."): value for key, value in attributes.items()}
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return {
        "traceId": f"{trace:032x}", "spanId": f"{id_:016x}", "parentSpanId": f"{parent:016x}" if parent else "",
        "name": name, "kind": kind, "status": {"code": status},
        "startTimeUnixNano": str(START + at * MS), "endTimeUnixNano": str(START + (at + lasts) * MS),
        "attributes": [
            {"key": key, "value": {kinds[type(value)]: str(value) if type(value) is int else value}}
            for key, value in said.items()
        ],
    }  # fmt: skip


def agent(id_, parent=None, *, called="fraud", **fields):
    return span(id_, parent, gen_ai__operation__name="invoke_agent", gen_ai__agent__name=called, **fields)


def chat(id_, parent=None, *, response=None, prompt=100, completion=20, **fields):
    named = {"gen_ai__response__id": response} if response else {}
    counts = {"gen_ai__usage__input_tokens": prompt, "gen_ai__usage__output_tokens": completion}
    common = {"gen_ai__operation__name": "chat", "gen_ai__request__model": "gpt-4o", "gen_ai__provider__name": "openai"}
    return span(id_, parent, **{**common, **counts, **named, **fields})


def tool(id_, parent=None, *, called="add", call_id=None, **fields):
    named = {"gen_ai__tool__call__id": call_id} if call_id else {}
    said = {"gen_ai__operation__name": "execute_tool", "gen_ai__tool__name": called, **named}
    return span(id_, parent, **{**said, **fields})


def export(*spans, scope="s", resource=()):
    said = [{"key": key, "value": {"stringValue": value}} for key, value in resource]
    return {
        "resourceSpans": [
            {"resource": {"attributes": said}, "scopeSpans": [{"scope": {"name": scope}, "spans": list(spans)}]}
        ]
    }


@pytest.fixture
def otel(tmp_path, read):
    """Everything that is read of these exports, one per line."""

    def run(*exports, **defaults):
        file = tmp_path / "traces.jsonl"
        file.write_text("".join(json.dumps(one) + "\n" for one in exports), "utf-8")
        return read(IMPORTER, file, **defaults)

    return run


def test_an_agent_with_two_llm_calls_and_a_tool(otel):
    found = otel(
        export(chat(2, 1, at=1, response="resp_1", prompt=100)),  # children are exported before their parents
        export(tool(3, 1, at=20, call_id="call_1"), chat(4, 1, at=40, response="resp_2", completion=7)),
        export(agent(1, lasts=90, gen_ai__conversation__id="conv-1")),
    )
    assert found.refused == []
    assert found.calls == [
        Call(agent_id="fraud", request_id="resp_1", response_id="resp_1", ts="2026-11-23T20:35:57.735Z",
             model="gpt-4o", provider="openai", prompt_tokens=100, completion_tokens=20, evidence="span",
             session_id="conv-1"),
        Call(agent_id="fraud", request_id="resp_2", response_id="resp_2", ts="2026-11-23T20:35:57.774Z",
             model="gpt-4o", provider="openai", prompt_tokens=100, completion_tokens=7, evidence="span",
             session_id="conv-1"),
    ]  # fmt: skip
    [called] = found.tool_calls
    assert (called.tool, called.request_id, called.tool_call_id) == ("add", "resp_1", "call_1")
    assert (called.agent_id, called.duration_ms, called.status) == ("fraud", 10, "ok")
    assert called.ts == "2026-11-23T20:35:57.754Z"


def test_the_summed_usage_of_a_parent_is_no_call(otel):
    summed = {"gen_ai__usage__input_tokens": 200, "gen_ai__usage__output_tokens": 40}
    found = otel(export(agent(1, gen_ai__request__model="gpt-4o", **summed), chat(2, 1), chat(3, 1)))
    assert [call.prompt_tokens for call in found.calls] == [100, 100]


def test_a_wrapper_without_a_response_is_no_second_call(otel):
    found = otel(export(agent(1), chat(2, 1), span(3, 2), chat(4, 3, response="resp_1")))
    assert [call.response_id for call in found.calls] == ["resp_1"]
    both = otel(export(agent(1), chat(2, 1, response="resp_a"), chat(3, 2, response="resp_b")))
    assert sorted(call.response_id for call in both.calls) == ["resp_a", "resp_b"]


def test_an_error_without_usage_is_no_call(otel):
    failed = span(2, 1, status=2, gen_ai__operation__name="chat", gen_ai__request__model="m")
    found = otel(export(agent(1), failed, chat(3, 1)))
    assert len(found.facts) == 1


def test_a_failed_tool(otel):
    found = otel(export(agent(1), tool(2, 1, status=2, error__type="ValueError")))
    assert [(one.status, one.error_type, one.request_id) for one in found.tool_calls] == [("error", "ValueError", None)]


def test_ids_of_requests(otel):
    found = otel(
        export(
            agent(1),
            chat(2, 1),
            chat(3, 1, response="resp_1"),
            chat(4, 1, response="resp_2", anthropic__request__id="req_2"),
            chat(5, 1, response="resp_2"),  # another account of the same response
            chat(6, 1, response="resp_3", agent_ledger__request_id="run-7"),
        )
    )
    ids = {
        call.response_id: {one.request_id for one in found.calls if one.response_id == call.response_id}
        for call in found.calls
    }
    assert ids == {
        None: {f"{1:032x}:{2:016x}"},
        "resp_1": {"resp_1"},
        "resp_2": {"req_2"},
        "resp_3": {"run-7"},
    }


def test_whose_call_it_is(otel):
    lonely = export(chat(2, 9))
    [(line, reason)] = otel(lonely).reasons
    assert (line, reason[:47]) == (1, "agent_id is None: give --agent-id, or the attri")
    assert [call.agent_id for call in otel(lonely, agent_id="given").calls] == ["given"]
    owned = export(chat(2, 9), resource=[("agent_ledger.agent_id", "owned"), ("agent_ledger.customer_id", "acme")])
    [call] = otel(owned, agent_id="given", feature="f", session_id="s").calls
    assert (call.agent_id, call.customer_id, call.feature, call.session_id) == ("owned", "acme", "f", "s")
    [call] = otel(export(agent(1), chat(2, 1)), agent_id="given").calls
    assert call.agent_id == "fraud"
    [call] = otel(export(span(1, agent_ledger__customer_id="acme"), agent(2, 1), chat(3, 2)), customer_id="x").calls
    assert (call.agent_id, call.customer_id) == ("fraud", "acme")


def test_a_tool_call_needs_no_agent(otel):
    assert [one.agent_id for one in otel(export(tool(2))).tool_calls] == [None]
    assert [one.agent_id for one in otel(export(tool(2)), agent_id="given").tool_calls] == ["given"]


def test_a_span_without_a_time(otel):
    timeless = export({**chat(2), "startTimeUnixNano": "0"})
    assert otel(timeless, agent_id="a").reasons == [
        (1, "ts is 0: give the span's start in nanoseconds since 1970, or --ts")
    ]
    assert [call.ts for call in otel(timeless, agent_id="a", ts="2026-01-01").calls] == ["2026-01-01T00:00:00.000Z"]


def test_model_and_provider_of_the_user(otel):
    bare = export(chat(2, gen_ai__request__model="", gen_ai__provider__name=""))
    assert "does not name its model" in otel(bare, agent_id="a").refused[0].reason
    [call] = otel(bare, agent_id="a", model="claude-x", provider="aws").calls
    assert (call.model, call.provider) == ("claude-x", "aws")


def test_a_span_exported_twice_is_one(otel):
    begun = chat(2, 1, lasts=1, prompt=1)
    once = otel(export(agent(1), chat(2, 1)))
    assert otel(export(agent(1), chat(2, 1), begun), export(chat(2, 1))).facts == once.facts


def test_traces_are_told_apart(otel):
    found = otel(export(agent(1, called="one"), agent(1, trace=2, called="two"), chat(2, 1), chat(2, 1, trace=2)))
    assert [call.agent_id for call in found.calls] == ["one", "two"]


def test_lines_that_are_no_traces(otel, tmp_path, read):
    assert otel({"resourceMetrics": []}, export(chat(2)), {"resourceLogs": []}, agent_id="a").refused == []
    assert otel({"a": 1}, export(chat(2)), agent_id="a").reasons == [
        (1, "there are no resourceSpans: this is no OTLP/JSON export of traces.")
    ]
    (tmp_path / "x.json").write_text("[3]")
    assert read(IMPORTER, tmp_path / "x.json").reasons == [(None, "the file holds something other than JSON objects.")]
    (tmp_path / "x.json").write_text('{\n"resourceSpans": [')
    assert "is not JSON" in read(IMPORTER, tmp_path / "x.json").reasons[0][1]


@pytest.mark.parametrize("pretty", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_one_export_per_file(tmp_path, read, pretty, packed):
    text = json.dumps(
        [export(agent(1), chat(2, 1))] if pretty else export(agent(1), chat(2, 1)), indent=1 if pretty else None
    )
    file = tmp_path / ("traces.json.gz" if packed else "traces.json")
    file.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    found = read(IMPORTER, tmp_path)
    assert found.files == [file]
    assert [call.agent_id for call in found.calls] == ["fraud"]
    assert found.bytes_read == file.stat().st_size


def test_one_large_export(tmp_path, read, monkeypatch):
    monkeypatch.setattr(lines, "LIMIT", 500)
    (tmp_path / "x.json").write_text(json.dumps(export(chat(2)), indent=1))
    with pytest.raises(ImportFailed, match="write each export on a line of its own"):
        read(IMPORTER, tmp_path / "x.json", agent_id="a")


def test_memory_is_flat(tmp_path):
    file = tmp_path / "x.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for trace in range(1, 2_001):
            out.write(
                json.dumps(export(agent(1, trace=trace), chat(2, 1, trace=trace), tool(3, 1, trace=trace))) + "\n"
            )
    tracemalloc.start()
    try:
        count = sum(1 for _ in IMPORTER.read(file, otlp.Defaults(), lambda _: None))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 4_000
    assert peak < 4 * 2**20


# -- the order in the file --------------------------------------------------------------------------------------------

LARGE = [
    agent(1, lasts=500, gen_ai__conversation__id="c"),
    span(10, 1, at=1),
    chat(2, 10, at=1, response="msg_01AbCdEfGhIjKlMnOpQrStUv", anthropic__request__id="req_1"),
    chat(3, 1, at=1, lasts=11, response="msg_01AbCdEfGhIjKlMnOpQrStUv"),
    tool(4, 1, at=20, call_id="toolu_1"),
    span(5, 4, at=21, kind=3, name="MCP send tools/call add", mcp__method__name="tools/call"),
    span(6, 5, at=22, kind=2, name="tools/call add", mcp__method__name="tools/call", fastmcp__server__name="calc"),
    chat(7, 6, at=23, response="resp_nested"),
    chat(8, 1, at=40),
    chat(9, 8, at=41, response="resp_inner"),
    tool(11, 1, at=60, called="sub"),
    agent(12, 11, at=61, called="helper"),
    chat(13, 12, at=62),
    chat(14, trace=2, agent_ledger__agent_id="lonely"),
    chat(14, trace=2, prompt=-5),  # exported twice, and not the same
]


def rows(facts):
    return sorted(map(repr, facts))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(LARGE), cuts=st.sets(st.integers(1, len(LARGE) - 1)))
def test_the_order_of_the_spans_does_not_matter(otel, order, cuts):
    edges = [0, *sorted(cuts), len(order)]
    exports = [export(*order[start:end]) for start, end in pairwise(edges)]
    found = otel(*exports)
    expected = otel(export(*LARGE))
    assert rows(found.calls) == rows(expected.calls)
    assert rows(found.tool_calls) == rows(expected.tool_calls)
    assert len(found.refused) == len(expected.refused)


def test_what_that_file_comes_to(otel):
    found = otel(export(*LARGE))
    assert {(call.agent_id, call.request_id) for call in found.calls} == {
        ("fraud", "req_1"), ("fraud", "resp_nested"), ("fraud", "resp_inner"),
        ("helper", f"{1:032x}:{13:016x}"), ("lonely", f"{2:032x}:{14:016x}"),
    }  # fmt: skip
    assert [(one.tool, one.server, one.request_id, one.agent_id) for one in found.tool_calls] == [
        ("add", "calc", "req_1", "fraud"),
        ("sub", None, "resp_inner", "fraud"),
    ]


# -- recorded files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def ledger_of(tmp_path, samples):
    def run(name):
        ledger = Ledger(tmp_path / "ledger.db")
        summary = ledger.import_file(IMPORTER, samples / "otel" / name)
        assert summary.refused == []
        again = ledger.import_file(IMPORTER, samples / "otel" / name)
        assert (again.added, again.already_there) == (0, summary.added)
        return ledger, summary

    return run


def counts(ledger):
    """agent, request, model, input, output, cache reads, cache writes of what counts, by time."""
    names = ("agent_id", "request_id", "model", "prompt_tokens", "completion_tokens", "cache_read_tokens",
             "cache_write_tokens")  # fmt: skip
    found = sorted(ledger.rows("usage"), key=lambda row: row["ts"])
    return [tuple(row[name] for name in names) for row in found]


def test_spans_of_the_anthropic_sdk(ledger_of):
    ledger, _ = ledger_of("anthropic_sdk_2.12.0_builtin_otlp.json")
    assert counts(ledger) == [
        ("agent-1", "req_fake_anthropic_0014_json", "claude-sonnet-5", 21_023, 489, 20_443, 574),
        ("agent-1", "req_fake_anthropic_0119_sse", "claude-sonnet-5", 2_411, 145, 0, 0),
        ("agent-1", "req_fake_anthropic_0012_json", "claude-sonnet-4-6", 8_855, 193, 8_845, 6),
    ]  # the fourth was refused with 400
    assert [(row["reasoning_tokens"], row["session_id"]) for row in ledger.rows("ledger")] == [
        (77, "conv-1"), (47, None), (None, None),
    ]  # fmt: skip
    ledger.close()


def test_spans_of_the_contributed_instrumentations(ledger_of):
    ledger, _ = ledger_of("contrib_otlp.json")
    gpt = "gpt-5.6-sol"
    resp = "resp_026af6d29369608b006a5716618c60819bac3694425c3ff9d8"
    assert counts(ledger) == [
        ("agent-1", "msg_01Uci5XphDTKTswCz4QkbNb5", "claude-sonnet-5", 21_023, 489, 20_443, 574),
        ("agent-1", "msg_011CduoCRono7pFKoTWpPAia", "claude-sonnet-4-6", 181, 8, None, None),
        ("agent-1", "chatcmpl-E1mBQt42vYTsKNd5wnyJlT0db7v9S", gpt, 4_020, 4, 4_012, None),
        ("agent-1", "chatcmpl-C1KMEUDb1vVwsROQUCZTgG6A6vtWo", "gpt-4o-2024-08-06", 364, 40, None, None),
        ("agent-1", resp, gpt, 4_020, 5, None, 4_012),
    ]
    ledger.close()


def test_two_instrumentations_of_one_response_count_once_and_the_better_one_wins(ledger_of):
    ledger, summary = ledger_of("traceloop_plus_anthropic_builtin_DOUBLE_otlp.json")
    assert summary.added == 7  # all of them can be traced
    gpt = "gpt-5.6-sol"
    resp = "resp_026af6d29369608b006a5716618c60819bac3694425c3ff9d8"
    assert counts(ledger) == [
        ("agent-1", "req_fake_anthropic_0014_json", "claude-sonnet-5", 21_023, 489, 20_443, 574),
        ("agent-1", "req_fake_anthropic_0133_sse", "claude-sonnet-4-6", 181, 8, 0, 0),  # not 55,196 and 15
        ("agent-1", "chatcmpl-E1mBQt42vYTsKNd5wnyJlT0db7v9S", gpt, 4_020, 4, 4_012, None),
        ("agent-1", "chatcmpl-C1KMEUDb1vVwsROQUCZTgG6A6vtWo", "gpt-4o-2024-08-06", 364, 40, 0, None),
        ("agent-1", resp, gpt, 4_020, 5, 0, None),
    ]
    assert [row["reason"] for row in ledger.rows("request_conflicts") if row["reason"] == "conflict"] == []
    ledger.close()


def test_an_mcp_tool_call_of_an_agent(ledger_of):
    ledger, _ = ledger_of("mcp_2.3.0_client_agent_execute_tool_otlp.json")
    assert ledger.rows("ledger") == []
    [row] = ledger.rows("audit")
    assert (row["tool"], row["tool_call_id"], row["agent_id"]) == ("add", "toolu_1", "demo")
    assert (row["request_id"], row["status"], row["duration_ms"]) == (None, "ok", 83)
    ledger.close()
