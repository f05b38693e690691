"""What every importer has to survive, each with a sentence and none with a traceback."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_ledger.errors import ImportFailed
from agent_ledger.hookspecs import Defaults
from agent_ledger.importers import claude_code, litellm, llm_logs, otlp, responses, table
from agent_ledger.importers.claude_code import ClaudeCode
from agent_ledger.importers.litellm import LiteLLM
from agent_ledger.importers.llm_logs import Llm
from agent_ledger.importers.otlp import Otlp
from agent_ledger.importers.responses import Responses
from agent_ledger.importers.table import Csv, JsonLines
from agent_ledger.records import Call, Refused, ToolCall

MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "claude-x", "content": []}
USAGE = {"input_tokens": 3, "output_tokens": 2}
TRANSCRIPT = {"type": "assistant", "timestamp": "2026-01-01T00:00:00Z", "message": MESSAGE | {"usage": USAGE}}
RESPONSE = {"ts": "2026-01-01", "agent_id": "a", "body": MESSAGE | {"usage": USAGE}}
ROW = {"ts": "2026-01-01", "agent_id": "a", "model": "m", "prompt_tokens": 3, "completion_tokens": 2}
CSV = b"ts,agent_id,model,prompt_tokens,completion_tokens\n2026-01-01,a,m,3,2\n"

SPAN = {
    "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "chat m",
    "startTimeUnixNano": "1760000000000000000", "endTimeUnixNano": "1760000001000000000",
    "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.request.model", "value": {"stringValue": "m"}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": 3}},
    ],
}  # fmt: skip
TRACE = {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}
SPEND = {
    "request_id": "chatcmpl-1", "call_type": "completion", "model": "m", "startTime": "2026-01-01T00:00:00Z",
    "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "spend": 0.1, "agent_id": "a",
}  # fmt: skip

CASES = {
    "claude-code": (ClaudeCode(), "a.jsonl", json.dumps(TRANSCRIPT).encode() + b"\n"),
    "responses": (Responses(), "a.jsonl", json.dumps(RESPONSE).encode() + b"\n"),
    "responses .json": (Responses(), "a.json", json.dumps(RESPONSE).encode()),
    "responses .sse": (Responses(), "a.sse", b"data: " + json.dumps(RESPONSE["body"]).encode() + b"\n\n"),
    "jsonl": (JsonLines(), "a.jsonl", json.dumps(ROW).encode() + b"\n"),
    "csv": (Csv(), "a.csv", CSV),
    "otlp .jsonl": (Otlp(), "a.jsonl", json.dumps(TRACE).encode() + b"\n"),
    "otlp .json": (Otlp(), "a.json", json.dumps(TRACE).encode()),
    "litellm": (LiteLLM(), "a.jsonl", json.dumps(SPEND).encode() + b"\n"),
    "llm": (Llm(), "logs.db", None),
}
ALL = pytest.mark.parametrize("case", CASES)
TEXT = pytest.mark.parametrize("case", [name for name in CASES if name != "llm"])  # llm's rows: see test_llm_logs
LINES = pytest.mark.parametrize("case", ["claude-code", "responses", "jsonl", "csv"])
DEFAULTS = Defaults(agent_id="a", ts="2026-01-01")


def facts(importer, file: Path):
    """All facts, after a check that each is one."""
    found = list(importer.read(file, DEFAULTS, lambda _: None))
    for fact in found:
        assert isinstance(fact, Call | ToolCall | Refused)
        if isinstance(fact, Refused):
            assert "\n" not in fact.reason
            assert fact.reason
            assert len(fact.reason) < 1000
    return found


@pytest.fixture
def write(tmp_path):
    def run(case, data):
        importer, name, _ = CASES[case]
        (tmp_path / name).write_bytes(data)
        return importer, tmp_path / name

    return run


def failure(importer, file):
    with pytest.raises(ImportFailed) as caught:
        facts(importer, file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)
    return str(caught.value)


@ALL
def test_a_good_file(case, write):
    importer, _, good = CASES[case]
    if good is not None:
        assert [type(fact) for fact in facts(*write(case, good))] == [Call]
    assert importer.name == case.split()[0]
    assert importer.summary


@ALL
def test_an_empty_file(case, write):
    assert "is empty" in failure(*write(case, b""))


@ALL
def test_a_folder_and_a_missing_file(case, tmp_path):
    importer, name, _ = CASES[case]
    (tmp_path / name).mkdir()
    assert "is a folder" in failure(importer, tmp_path / name)
    with pytest.raises(ImportFailed, match="holds no"):
        importer.files(tmp_path)
    with pytest.raises(ImportFailed, match="does not exist"):
        importer.files(tmp_path / "none")
    assert "does not exist" in failure(importer, tmp_path / "none")


@ALL
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_wide_encodings(case, encoding, write):
    good = CASES[case][2] or b"text"
    said = failure(*write(case, good.decode().encode(encoding)))
    assert f"is {encoding.upper()[:6]}: save it as UTF-8" in said


@LINES
def test_a_truncated_file(case, write):
    good = CASES[case][2]
    found = facts(*write(case, good + good.splitlines(keepends=True)[-1][:-5]))
    assert [type(fact) for fact in found if isinstance(fact, Call)] == [Call]
    assert [fact.line for fact in found if isinstance(fact, Refused)] == [good.count(b"\n") + 1]


@LINES
@pytest.mark.parametrize("damage", [b"\xe9", b"\0", b"\xff\xfe\xfd"])
def test_latin_1_and_nul(case, damage, write):
    good = CASES[case][2]
    last = good.splitlines(keepends=True)[-1]
    found = facts(*write(case, good + last.replace(b"2026", damage + b"2026") + last))
    refused = [fact for fact in found if isinstance(fact, Refused)]
    assert [fact.line for fact in refused] == [good.count(b"\n") + 1]
    assert any(isinstance(fact, Call) for fact in found)


@TEXT
@pytest.mark.parametrize("number", [b"-3", b"1000000000000000", b"NaN", b"1e999", b"3.5", b"null3"])
def test_bad_numbers(case, number, write):
    good = CASES[case][2]
    bad = good.replace(b": 3", b": " + number) if case != "csv" else good.replace(b",3,", b"," + number + b",")
    assert bad != good
    assert [type(fact) for fact in facts(*write(case, bad))] == [Refused]


@TEXT
@pytest.mark.parametrize("name", ["model", "ts", "timestamp", "input_tokens", "message", "body", "prompt_tokens"])
def test_missing_fields(case, name, write):
    good = CASES[case][2]
    facts(*write(case, good.replace(f'"{name}"'.encode(), b'"other"')))


@LINES
def test_a_line_of_100_mb(case, tmp_path):
    importer, name, good = CASES[case]
    with (tmp_path / name).open("wb") as out:
        out.write(good)
        for _ in range(100):
            out.write(b"x" * 2**20)
        out.write(b"\n" + good.splitlines(keepends=True)[-1])
    tracemalloc.start()
    try:
        found = facts(importer, tmp_path / name)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    refused = [fact for fact in found if isinstance(fact, Refused)]
    assert refused == [Refused(good.count(b"\n") + 1, "the line is longer than 64 MB.")]
    assert any(isinstance(fact, Call) for fact in found)
    assert peak < 150 * 2**20


@pytest.mark.parametrize("case", ["responses", "jsonl", "csv"])
def test_memory_is_flat(case, write):
    good = CASES[case][2]
    head, last = (good[: -len(good.splitlines(keepends=True)[-1])], good.splitlines(keepends=True)[-1])
    importer, file = write(case, head + last * 20_000)
    tracemalloc.start()
    try:
        count = sum(1 for _ in importer.read(file, DEFAULTS, lambda _: None))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 4 * 2**20


@LINES
def test_gzip(case, write):
    assert [type(fact) for fact in facts(*write(case, gzip.compress(CASES[case][2])))] == [Call]


@ALL
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_arbitrary_bytes(case, write, data):
    importer, file = write(case, data)
    try:
        first = facts(importer, file)
    except ImportFailed:
        return
    assert facts(importer, file) == first


@TEXT
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files(case, write, data):
    good = CASES[case][2]
    at = data.draw(st.integers(0, len(good)))
    cut = data.draw(st.integers(0, 12))
    importer, file = write(case, good[:at] + data.draw(st.binary(max_size=6)) + good[at + cut :] + good)
    try:
        first = facts(importer, file)
    except ImportFailed:
        return
    assert facts(importer, file) == first


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _mutated(value, path, new):
    if not path or not isinstance(value, dict) or not value:
        return new
    key = sorted(value)[path[0] % len(value)]
    return value | {key: _mutated(value[key], path[1:], new)}


@pytest.mark.parametrize("case", ["claude-code", "responses", "responses .json", "jsonl"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.lists(st.integers(0, 20), min_size=1, max_size=4), new=JSON)
def test_any_value_anywhere(case, write, path, new):
    importer, file = write(case, json.dumps(_mutated(json.loads(CASES[case][2]), path, new)).encode())
    assert facts(importer, file) == facts(importer, file)


def test_every_importer_registers():
    registered: list = []
    for module in (claude_code, responses, llm_logs, table, otlp, litellm):
        module.register_importers(register=registered.append)
    assert [importer.name for importer in registered] == [
        "claude-code",
        "responses",
        "llm",
        "jsonl",
        "csv",
        "otlp",
        "litellm",
    ]
