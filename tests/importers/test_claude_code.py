from __future__ import annotations

import hashlib
import json
from collections import Counter

import pytest

from agent_ledger.importers.claude_code import ClaudeCode
from agent_ledger.records import Call

IMPORTER = ClaudeCode()


def line(**changes):
    usage = changes.pop("usage", {"input_tokens": 10, "output_tokens": 5})
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [],
        "stop_reason": None,
        "usage": usage,
    } | changes.pop("message", {})
    return {
        "type": "assistant",
        "uuid": "u1",
        "requestId": "req_1",
        "sessionId": "s1",
        "timestamp": "2026-11-01T10:00:00.123Z",
        "cwd": "/home/me/shop",
        "isSidechain": False,
        "message": message,
    } | changes


def without(record, *names):
    return {name: value for name, value in record.items() if name not in names}


@pytest.fixture
def transcript(tmp_path, read):
    def run(*records, name="s1.jsonl", **defaults):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
        return read(IMPORTER, file, **defaults)

    return run


def exclusive(calls):
    """Totals as ccusage counts: input without the cache."""
    totals = Counter()
    for call in calls:
        read, written = call.cache_read_tokens or 0, call.cache_write_tokens or 0
        totals.update(
            inputTokens=call.prompt_tokens - read - written,
            outputTokens=call.completion_tokens,
            cacheCreationTokens=written,
            cacheReadTokens=read,
        )
    return dict(totals)


def distinct(calls):
    """What a ledger keeps of copies: one row per identity."""
    rows: dict[tuple, Call] = {}
    for call in calls:
        rows.setdefault((call.request_id, call.response_id, call.part), call)
    return list(rows.values())


def oracle(samples, name):
    return json.loads((samples / "claude_code" / "ccusage_oracle" / f"{name}.calculate.json").read_text())


COUNTS = ("inputTokens", "outputTokens", "cacheCreationTokens", "cacheReadTokens")


def test_a_response(transcript):
    usage = {
        "input_tokens": 3,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 15},
        "output_tokens": 7,
    }
    (call,) = transcript(line(usage=usage), customer_id="acme").calls
    assert (call.prompt_tokens, call.completion_tokens) == (123, 7)
    assert (call.cache_read_tokens, call.cache_write_tokens, call.cache_write_1h_tokens) == (100, 20, 15)
    assert (call.request_id, call.response_id, call.part) == ("req_1", "msg_1", 0)
    assert (call.agent_id, call.session_id, call.feature, call.customer_id) == ("claude-code", "s1", "shop", "acme")
    assert (call.provider, call.model, call.evidence) == ("anthropic", "claude-sonnet-4-5", "log")
    assert call.ts == "2026-11-01T10:00:00.123Z"


def test_the_last_line_of_a_response_counts(transcript):
    # First-wins gives 5 here, adding gives 1,634.
    grown = [line(usage={"input_tokens": 4, "output_tokens": count}) for count in (1, 5, 1628)]
    (call,) = transcript(*grown).calls
    assert call.completion_tokens == 1628


def test_last_wins_and_not_the_largest_of_each_count(transcript):
    partial, final = ({"input_tokens": 15000, "output_tokens": 1}, {"input_tokens": 12, "output_tokens": 40})
    (call,) = transcript(line(usage=partial), line(usage=final)).calls
    assert (call.prompt_tokens, call.completion_tokens) == (12, 40)


def test_an_unfinished_copy_does_not_displace_the_finished_line(transcript):
    done = line(message={"stop_reason": "end_turn"}, usage={"input_tokens": 4, "output_tokens": 99})
    (call,) = transcript(done, line(usage={"input_tokens": 4, "output_tokens": 1})).calls
    assert call.completion_tokens == 99


def test_a_sidechain_copy_does_not_displace_the_original(transcript):
    copy = line(isSidechain=True, requestId="req_2", usage={"input_tokens": 4, "output_tokens": 1})
    for records in ((line(), copy), (copy, line())):
        (call,) = transcript(*records).calls
        assert (call.agent_id, call.request_id, call.completion_tokens) == ("claude-code", "req_1", 5)


def test_without_a_message_id_the_request_is_the_key(transcript):
    records = [line(message={"id": None}, usage={"input_tokens": 4, "output_tokens": n}) for n in (1, 12, 1628)]
    (call,) = transcript(*records).calls  # ccusage counts 1,641 here
    assert (call.completion_tokens, call.request_id, call.response_id) == (1628, "req_1", None)


def test_without_a_request_id_the_message_is_the_key(transcript):
    (call,) = transcript(without(line(), "requestId"), without(line(), "requestId")).calls
    assert (call.request_id, call.response_id) == ("msg_1", "msg_1")
    (call,) = transcript(line(), without(line(), "requestId")).calls
    assert call.request_id == "req_1"
    (call,) = transcript(without(line(), "requestId"), line()).calls
    assert call.request_id == "req_1"


def test_without_both_ids_the_uuid_is_the_key(transcript):
    bare = without(line(message={"id": None}), "requestId")
    assert [call.request_id for call in transcript(bare, bare, bare | {"uuid": "u2"}).calls] == ["u1", "u2"]
    (call,) = transcript(without(bare, "uuid"), without(bare, "uuid")).calls
    assert call.request_id.startswith("sha256:")


def test_a_provider_that_repeats_its_ids_loses_no_call(transcript):
    records = [line(requestId=request, message={"id": "chatcmpl-1"}) for request in ("req_1", "req_2")]
    assert [call.request_id for call in transcript(*records).calls] == ["req_1", "req_2"]


def test_iterations_are_calls_of_their_own(transcript):
    usage = {
        "input_tokens": 181,
        "output_tokens": 8,
        "iterations": [
            {"type": "compaction", "input_tokens": 100, "cache_read_input_tokens": 55096, "output_tokens": 83},
            {"type": "message", "input_tokens": 181, "output_tokens": 8},
        ],
    }
    calls = transcript(line(usage=usage), line(usage=usage)).calls
    assert [(call.part, call.prompt_tokens, call.completion_tokens) for call in calls] == [(0, 55196, 83), (1, 181, 8)]
    assert {call.request_id for call in calls} == {"req_1"}


@pytest.mark.parametrize(
    "record",
    [
        line(message={"model": "<synthetic>"}),
        line(isApiErrorMessage=True),
        line(usage=None),
        line(type="progress"),
        line(type="summary"),
        {"type": "summary", "summary": "text"},
        {"type": "assistant", "message": "text"},
        {},
    ],
)
def test_lines_that_are_no_response_are_passed_over(transcript, record):
    assert transcript(record).facts == []


def test_lines_without_a_type_go_by_the_role(transcript):
    assert len(transcript(without(line(), "type")).calls) == 1


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (without(line(), "timestamp"), "timestamp is None: the line has no time"),
        (line(timestamp="yesterday"), "timestamp is 'yesterday': give a time"),
        (line(usage={"input_tokens": -1, "output_tokens": 1}), "input_tokens is -1"),
        (line(usage={"input_tokens": 10**15, "output_tokens": 1}), "input_tokens is 1000000000000000"),
        (line(usage={"input_tokens": "many", "output_tokens": 1}), "input_tokens is 'many'"),
        (line(message={"model": None}), "does not name its model"),
        (line(message={"id": 7}), "id is 7: give text"),
        (line(sessionId="\ud800"), "session_id is '\\ud800': give valid Unicode text"),
        (line(requestId="a\0b"), "request_id is 'a\\x00b': remove the NUL characters"),
        (line(costUSD=-1), "reported_cost_usd is -1"),
    ],
)
def test_bad_values_are_refused_with_their_line(transcript, record, reason):
    result = transcript({"type": "summary"}, record)
    assert result.calls == []
    ((number, said),) = result.reasons
    assert number == 2
    assert reason in said


def test_subagents(transcript):
    assert transcript(line(isSidechain=True)).calls[0].agent_id == "claude-code/subagent"
    assert transcript(line(agentId="a1", attributionAgent="Explore")).calls[0].agent_id == "claude-code/Explore"
    assert transcript(line(isSidechain=True, agentType="Plan")).calls[0].agent_id == "claude-code/Plan"
    below = transcript(line(), name="s1/subagents/agent-a1.jsonl")
    assert below.calls[0].agent_id == "claude-code/subagent"
    named = transcript(line(isSidechain=True, agentType="Plan"), agent_id="laptop").calls[0]
    assert named.agent_id == "laptop/Plan"


def test_feature_and_provider(transcript):
    assert transcript(line(cwd=r"C:\work\shop")).calls[0].feature == "shop"
    assert transcript(without(line(), "cwd")).calls[0].feature is None
    assert transcript(line(), feature="given").calls[0].feature == "given"
    assert transcript(line(message={"model": "glm-4.6"})).calls[0].provider is None


def test_what_old_versions_said_it_cost(transcript):
    assert transcript(line(costUSD=0.12)).calls[0].reported_cost_usd == 0.12


def test_tool_calls(transcript):
    def used(identity, name, arguments):
        return {"type": "tool_use", "id": identity, "name": name, "input": arguments}

    def result(identity, **more):
        content = [{"type": "tool_result", "tool_use_id": identity, "content": "secret"} | more]
        return {"type": "user", "message": {"role": "user", "content": content}}

    bash = used("t1", "Bash", {"command": "ls", "a": 1})
    records = [
        line(message={"content": [bash]}),
        line(message={"content": [used("t2", "mcp__github__create_issue", {})]}),
        line(message={"content": [used("t3", "Read", {})]}),
        result("t1"),
        result("t2", is_error=True),
        result("unknown"),
        line(message={"content": [bash]}),  # a copy
    ]
    found = transcript(*records)
    assert len(found.calls) == 1
    assert [(one.tool_call_id, one.server, one.tool, one.status, one.request_id) for one in found.tool_calls] == [
        ("t1", "claude-code", "Bash", "ok", "req_1"),
        ("t2", "github", "create_issue", "error", "req_1"),
        ("t3", "claude-code", "Read", None, "req_1"),
    ]
    assert found.tool_calls[0].arguments_digest == hashlib.sha256(b'{"a":1,"command":"ls"}').hexdigest()
    assert "secret" not in repr(found.facts)
    assert found.tool_calls[0].ts == "2026-11-01T10:00:00.123Z"


def test_a_folder_with_subagents_and_copies(tmp_path, read, transcript):
    transcript(line(), name="p/s1.jsonl")
    transcript(line(isSidechain=True), line(message={"id": "msg_2"}, requestId="req_2"), name="p/s1/subagents/a.jsonl")
    calls = read(IMPORTER, tmp_path / "p").calls
    assert [call.agent_id for call in distinct(calls)] == ["claude-code", "claude-code/subagent"]
    assert len(calls) == 3


@pytest.mark.parametrize("kind", ["session", "daily"])
def test_sniffly_equals_ccusage(samples, read, kind):
    calls = distinct(read(IMPORTER, samples / "claude_code" / "projects_sniffly").calls)
    expected = oracle(samples, f"sniffly.{kind}")
    assert exclusive(calls) == {name: expected["totals"][name] for name in COUNTS}
    assert (expected["totals"]["inputTokens"], expected["totals"]["outputTokens"]) == (293, 19313)
    rows = expected["sessions" if kind == "session" else "daily"]
    assert rows
    for row in rows:
        if kind == "session":
            mine = [call for call in calls if call.session_id == row["sessionId"]]
        else:
            mine = [call for call in calls if call.ts[:10] == (row.get("date") or row["period"])]
        assert exclusive(mine) == {name: row[name] for name in COUNTS}


@pytest.mark.parametrize(
    "name",
    [
        "ba79134d-b6e9-4867-af0c-6941038c9e4b",
        "d3ad4cdc-5657-435d-98fa-0035d53e383d",
        "fed8ce56-bc79-401f-a83e-af084253362f",
        "ff71dbed-a4f2-4284-a4fc-fe2fb90de929",
    ],
)
def test_each_sniffly_file_equals_ccusage(samples, read, name):
    calls = read(IMPORTER, samples / "claude_code" / "projects_sniffly" / f"{name}.jsonl").calls
    totals = oracle(samples, f"file_{name}.session")["totals"]
    assert dict.fromkeys(COUNTS, 0) | exclusive(calls) == {count: totals[count] for count in COUNTS}


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_ccusage_fixtures(samples, read, name):
    folder = samples / "claude_code" / "ccusage_fixtures" / "claude" / "projects" / f"project-{name}"
    totals = oracle(samples, f"ccusage_{name}.session")["totals"]
    assert exclusive(read(IMPORTER, folder).calls) == {count: totals[count] for count in COUNTS}


def test_claude_code_log_equals_ccusage_where_ccusage_looks(samples, read):
    found = read(IMPORTER, samples / "claude_code" / "projects_ccl")
    calls = distinct(found.calls)
    totals = oracle(samples, "ccl.session")["totals"]
    # ccusage wants the bytes `"usage":{`. The lines of claude-3-sonnet have a space after the colon: it misses them.
    assert exclusive([call for call in calls if call.model == "claude-sonnet-4"]) == {
        count: totals[count] for count in COUNTS
    }
    assert {call.model for call in calls} == {"claude-sonnet-4", "claude-3-sonnet-20240229"}
    assert [line for line, _ in found.reasons] == [13, 15, 16]
