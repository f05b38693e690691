from __future__ import annotations

import json

import pytest

from agent_ledger.importers.responses import Responses

IMPORTER = Responses()
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [],
    "usage": {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 5},
}
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1783375763,
    "model": "gpt-4o",
    "choices": [],
    "usage": {"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 24},
}
STREAM = [
    {"type": "message_start", "message": MESSAGE | {"usage": {"input_tokens": 10, "output_tokens": 1}}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 30}},
    {"type": "message_stop"},
]


def record(**changes):
    return {"ts": "2026-11-01T10:00:00Z", "agent_id": "fraud", "request_id": "req_1", "body": MESSAGE} | changes


def without(found, *names):
    return {name: value for name, value in found.items() if name not in names}


@pytest.fixture
def jsonl(tmp_path, read):
    def run(*records, **defaults):
        (tmp_path / "r.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
        return read(IMPORTER, tmp_path / "r.jsonl", **defaults)

    return run


@pytest.fixture
def file(tmp_path, read):
    def run(name, content, **defaults):
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return read(IMPORTER, tmp_path / name, **defaults)

    return run


def test_a_line(jsonl):
    (call,) = jsonl(record(customer_id="acme", session_id="s", feature="f", provider="vertex")).calls
    assert (call.agent_id, call.request_id, call.response_id) == ("fraud", "req_1", "msg_1")
    assert (call.customer_id, call.session_id, call.feature, call.provider) == ("acme", "s", "f", "vertex")
    assert (call.prompt_tokens, call.cache_read_tokens, call.completion_tokens) == (100, 90, 5)
    assert (call.ts, call.evidence) == ("2026-11-01T10:00:00.000Z", "response")


def test_a_stream(jsonl):
    (call,) = jsonl(without(record(events=STREAM), "body")).calls
    assert (call.completion_tokens, call.evidence) == (30, "stream")
    (call,) = jsonl(without(record(events=STREAM[:1]), "body")).calls
    assert call.evidence == "partial"


def test_one_line_can_hold_several_inferences(jsonl):
    iterations = [
        {"type": "compaction", "input_tokens": 100, "output_tokens": 83},
        {"type": "message", "input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 5},
    ]
    body = MESSAGE | {"usage": MESSAGE["usage"] | {"iterations": iterations}}
    calls = jsonl(record(body=body)).calls
    assert [(call.part, call.prompt_tokens, call.request_id) for call in calls] == [
        (0, 100, "req_1"),
        (1, 100, "req_1"),
    ]


def test_defaults_fill_what_the_line_leaves_open(jsonl):
    (call,) = jsonl({"body": MESSAGE}, agent_id="a", ts="2026-01-01", customer_id="c", provider="bedrock").calls
    assert (call.agent_id, call.ts, call.customer_id) == ("a", "2026-01-01T00:00:00.000Z", "c")
    assert (call.provider, call.request_id) == ("bedrock", "msg_1")
    (call,) = jsonl(record(), agent_id="a", ts="2026-01-01").calls
    assert (call.agent_id, call.ts) == ("fraud", "2026-11-01T10:00:00.000Z")


def test_the_time_is_in_some_bodies(jsonl):
    assert jsonl({"body": CHAT}, agent_id="a", ts="2026-01-01").calls[0].ts == "2026-07-06T22:09:23.000Z"
    for created in (0, None, "soon", float(10**300), True):
        (call,) = jsonl({"body": CHAT | {"created": created}}, agent_id="a", ts="2026-01-01").calls
        assert call.ts == "2026-01-01T00:00:00.000Z"
    (call,) = jsonl({"body": CHAT | {"created": 1783375763123}}, agent_id="a").calls
    assert call.ts == "2026-07-06T22:09:23.123Z"


def test_a_bare_body_is_a_line(jsonl):
    # OpenRouter's "provider" is the company behind it.
    (call,) = jsonl(CHAT | {"provider": "WandB"}, agent_id="a").calls
    assert (call.model, call.prompt_tokens, call.request_id) == ("gpt-4o", 20, "chatcmpl-1")
    assert call.provider != "WandB"


def test_where_the_request_id_comes_from(jsonl):
    bare = without(record(), "request_id")
    assert jsonl(bare | {"headers": {"Request-Id": "req_h"}}).calls[0].request_id == "req_h"
    assert jsonl(bare | {"x-request-id": "req_x"}).calls[0].request_id == "req_x"
    assert jsonl(bare).calls[0].request_id == "msg_1"
    anonymous = bare | {"body": without(MESSAGE, "id")}
    first, again, other = jsonl(anonymous, anonymous, anonymous | {"customer_id": "b"}).calls
    assert first == again
    assert first.request_id.startswith("sha256:")
    assert other.request_id != first.request_id


def test_errors_and_counts_are_no_calls(jsonl):
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert jsonl({"body": error}, {"body": {"error": {"message": "no", "code": None}}}).facts == []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (without(record(), "agent_id"), "agent_id is None: add it to the record or give --agent-id"),
        (without(record(), "ts"), "ts is None: add it to the record or give --ts"),
        (record(ts="soon"), "ts is 'soon': give a time"),
        (record(ts=[]), "ts is []: give a time"),
        (record(body=[1]), "body is [1]: give the provider's response as a JSON object"),
        (record(body="x"), "body is 'x'"),
        (record(body=None), "body is None"),
        (without(record(events=["data: {}"]), "body"), "events is ['data: {}']"),
        (record(body={"hello": 1}), "no known shape"),
        (record(body=MESSAGE | {"usage": {"input_tokens": -1}}), "input_tokens is -1"),
        (record(body=MESSAGE | {"usage": {"input_tokens": 10**15}}), "input_tokens is 1000000000000000"),
        (record(body=without(MESSAGE, "model")), "does not name its model"),
        (record(customer_id=42), "customer_id is 42: give text"),
        (record(request_id="\ud800"), "give valid Unicode text"),
        (record(agent_id="a\0"), "remove the NUL"),
    ],
)
def test_bad_values_are_refused_with_their_line(jsonl, bad, reason):
    found = jsonl(record(), bad)
    assert len(found.calls) == 1
    ((number, said),) = found.reasons
    assert number == 2
    assert reason in said


def test_recorded_bodies(file):
    assert file("a.json", MESSAGE, agent_id="a", ts="2026-01-01").calls[0].prompt_tokens == 100
    assert file("b.json", record()).calls[0].agent_id == "fraud"
    sse = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in STREAM)
    (call,) = file("c.sse", sse, agent_id="a", ts="2026-01-01").calls
    assert (call.completion_tokens, call.evidence) == (30, "stream")
    assert len(file("d.json", [record(), record(request_id="req_2")]).calls) == 2
    chunk = {"candidates": [], "modelVersion": "gemini-2.5-flash", "responseId": "r"}
    chunks = [
        chunk | {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": count, "totalTokenCount": 5 + count}}
        for count in (1, 9)
    ]
    (call,) = file("e.json", chunks, agent_id="a", ts="2026-01-01").calls
    assert call.completion_tokens == 9


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", '{"a": ', "the file is not JSON"),
        ("a.json", '{"a": 1}\n{"a": 2}\n', "Name it .jsonl if it has one response per line."),
        ("a.json", "42", "something other than JSON objects"),
        ("a.json", "[1]", "something other than JSON objects"),
        ("a.json", '{"hello": 1}', "no known shape"),
        ("a.json", json.dumps(MESSAGE), "agent_id is None"),
        ("a.sse", "nothing of this kind", ""),
    ],
)
def test_bad_bodies_are_refused(file, name, content, reason):
    found = file(name, content, ts="2026-01-01")
    assert found.calls == []
    assert all(number is None and reason in said for number, said in found.reasons)
    assert len(found.refused) == 1


def test_a_folder_of_bodies(tmp_path, read):
    (tmp_path / "deep").mkdir()
    (tmp_path / "index.jsonl").write_text('{"file": "b.json"}\n')
    (tmp_path / "deep" / "b.json").write_text(json.dumps(MESSAGE))
    (tmp_path / "deep" / "c.bin").write_bytes(b"\0")
    found = read(IMPORTER, tmp_path, agent_id="a", ts="2026-01-01")
    assert [file.name for file in found.files] == ["b.json"]
    assert len(found.facts) == 1
    (tmp_path / "deep" / "b.json").unlink()
    assert [file.name for file in IMPORTER.files(tmp_path)] == ["index.jsonl"]


def test_every_recorded_body_is_read_or_refused_with_a_reason(samples, read):
    found = read(IMPORTER, samples / "llm_responses", agent_id="a", ts="2026-01-01")
    assert len(found.files) == 462
    assert len(found.calls) > 390
    # Bodies of Bedrock that don't name the model, JSON schemas, and one page of text.
    assert all("model" in said or "no known shape" in said or "is not JSON" in said for _, said in found.reasons)
    assert found.bytes_read == sum(file.stat().st_size for file in found.files)


def test_a_reader_that_stumbles_costs_one_record(jsonl, monkeypatch):
    def stumble(*_args, **_more):
        raise TypeError("unhashable type: 'list'")

    monkeypatch.setattr("agent_ledger.importers.responses.inferences", stumble)
    assert jsonl(record()).reasons == [
        (1, "The response has a shape that can't be read (TypeError: unhashable type: 'list'): report the shape.")
    ]
