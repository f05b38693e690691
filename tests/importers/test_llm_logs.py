from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_ledger.errors import ImportFailed
from agent_ledger.importers.llm_logs import Llm

IMPORTER = Llm()
RESPONSES = (
    "CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, response_json TEXT, conversation_id TEXT, "
    "duration_ms INTEGER, datetime_utc TEXT, input_tokens INTEGER, output_tokens INTEGER, token_details TEXT)"
)
TURNS = (
    "CREATE TABLE turns (id TEXT PRIMARY KEY, thread_id TEXT, model TEXT, resolved_model TEXT, input_tokens INTEGER, "
    "output_tokens INTEGER, token_details TEXT, datetime_utc TEXT, response_json TEXT)"
)
ROW = {
    "id": "01a",
    "model": "gpt-4o",
    "datetime_utc": "2026-11-23T20:58:54.846741+00:00",
    "input_tokens": 100,
    "output_tokens": 7,
}


def written(path, **tables):
    with closing(sqlite3.connect(path)) as db:
        db.execute(RESPONSES)
        db.execute(TURNS)
        for table, rows in tables.items():
            for row in rows:
                values = {name: json.dumps(one) if isinstance(one, dict) else one for name, one in row.items()}
                names, marks = ", ".join(values), ", ".join("?" * len(values))
                db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))
        db.commit()
    return path


@pytest.fixture
def logs(tmp_path, read):
    def run(*rows, **defaults):
        (tmp_path / "logs.db").unlink(missing_ok=True)
        return read(IMPORTER, written(tmp_path / "logs.db", turns=rows), **defaults)

    return run


def test_both_generations(tmp_path, read):
    path = written(
        tmp_path / "logs.db",
        responses=[ROW | {"conversation_id": "c1"}],
        turns=[ROW | {"id": "01b", "thread_id": "t1"}],
    )
    found = read(IMPORTER, tmp_path, customer_id="acme")
    assert [(call.request_id, call.session_id) for call in found.calls] == [("01a", "c1"), ("01b", "t1")]
    assert (found.calls[0].agent_id, found.calls[0].customer_id, found.calls[0].evidence) == ("llm", "acme", "log")
    assert found.calls[0].ts == "2026-11-23T20:58:54.846Z"
    assert found.bytes_read == path.stat().st_size


def test_openai_counts_are_inclusive(logs):
    details = {"prompt_tokens_details": {"cached_tokens": 90}}
    (call,) = logs(ROW | {"token_details": details}).calls
    assert (call.prompt_tokens, call.cache_read_tokens, call.provider) == (100, 90, "openai")
    details = {"input_tokens_details": {"cached_tokens": 80}, "output_tokens_details": {"reasoning_tokens": 3}}
    (call,) = logs(ROW | {"token_details": details}).calls
    assert (call.prompt_tokens, call.cache_read_tokens, call.reasoning_tokens) == (100, 80, 3)


@pytest.mark.parametrize("model", ["anthropic/claude-sonnet-4-5", "claude-sonnet-4-5", "my-alias"])
def test_anthropic_counts_are_exclusive(logs, model):
    details = {"cache_read_input_tokens": 900, "cache_creation_input_tokens": 50}
    (call,) = logs(ROW | {"model": model, "token_details": details}).calls
    assert (call.prompt_tokens, call.cache_read_tokens, call.cache_write_tokens) == (1050, 900, 50)
    assert call.model == model.removeprefix("anthropic/")
    assert call.provider == (None if model == "my-alias" else "anthropic")


def test_gemini_counts(logs):
    details = {"candidatesTokenCount": 2, "thoughtsTokenCount": 5, "cachedContentTokenCount": 60}
    (call,) = logs(ROW | {"model": "gemini/gemini-2.5-flash", "token_details": details}).calls
    assert (call.prompt_tokens, call.completion_tokens, call.cache_read_tokens, call.reasoning_tokens) == (
        100,
        7,
        60,
        5,
    )
    assert (call.provider, call.model) == ("google", "gemini-2.5-flash")


def test_which_model_it_was(logs):
    (call,) = logs(ROW | {"model": "4o", "response_json": {"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06"}}).calls
    assert (call.model, call.response_id, call.provider) == ("gpt-4o-2024-08-06", "chatcmpl-1", "openai")
    condensed = {"id": {"$": "x"}, "model": {"$": "m.model"}}
    (call,) = logs(ROW | {"model": "4o", "resolved_model": "gpt-4o-1", "response_json": condensed}).calls
    assert (call.model, call.response_id) == ("gpt-4o-1", None)
    (call,) = logs(ROW | {"model": "openrouter/anthropic/claude-sonnet-4-5"}).calls
    assert (call.model, call.provider) == ("anthropic/claude-sonnet-4-5", "openrouter")
    (call,) = logs(ROW | {"model": "llama3.2:latest"}).calls
    assert (call.model, call.provider) == ("llama3.2:latest", None)
    assert logs(ROW | {"model": "llama3.2:latest"}, provider="ollama").calls[0].provider == "ollama"


def test_unknown_counts_stay_unknown(logs):
    (call,) = logs(ROW | {"input_tokens": None, "output_tokens": None}).calls
    assert (call.prompt_tokens, call.completion_tokens) == (None, None)


def test_the_test_model_is_left_out(logs):
    assert logs(ROW | {"model": "echo"}).facts == []


def test_a_damaged_response_is_left_aside(logs):
    (call,) = logs(ROW | {"response_json": '{"id": '}).calls
    assert (call.response_id, call.prompt_tokens) == (None, 100)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"input_tokens": -1}, "prompt_tokens is -1: give a number from 0 to"),
        ({"output_tokens": 10**15}, "completion_tokens is 1000000000000000"),
        ({"input_tokens": "many"}, "prompt_tokens is 'many'"),
        ({"input_tokens": 1.5}, "prompt_tokens is 1.5"),
        ({"datetime_utc": "soon"}, "datetime_utc is 'soon'"),
        ({"datetime_utc": None}, "datetime_utc is None"),
        ({"model": None}, "model is None"),
        ({"model": b"gpt\xff"}, "model is b'gpt\\xff': give text"),
        ({"token_details": "{"}, "token_details is '{': a JSON object is expected"),
        ({"token_details": "[1]"}, "token_details is '[1]': a JSON object is expected"),
        ({"token_details": '{"a": NaN}'}, "which is not a number in JSON"),
        ({"token_details": {"prompt_tokens_details": {"cached_tokens": -4}}}, "cached_tokens is -4"),
        ({"thread_id": "a\0b"}, "session_id is 'a\\x00b': remove the NUL characters"),
    ],
)
def test_bad_rows_are_refused_alone_and_named(logs, changes, reason):
    found = logs(ROW, ROW | {"id": "01b"} | changes)
    assert [call.request_id for call in found.calls] == ["01a"]
    ((number, said),) = found.reasons
    assert number is None
    assert said.startswith("row '01b': ")
    assert reason in said


def test_wrong_bytes_in_text_cost_one_row(tmp_path, read):
    path = written(tmp_path / "logs.db", turns=[ROW, ROW | {"id": "01b"}])
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE turns SET model = CAST(x'6770ff' AS TEXT) WHERE id = '01b'")
        db.commit()
    found = read(IMPORTER, path)
    assert (len(found.calls), len(found.refused)) == (1, 1)


def test_other_databases(tmp_path, read):
    with closing(sqlite3.connect(tmp_path / "a.db")) as db:
        db.execute("CREATE TABLE responses (id TEXT, model TEXT)")
        db.commit()
    with pytest.raises(ImportFailed, match="is no log of llm"):
        read(IMPORTER, tmp_path / "a.db")
    (tmp_path / "b.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(ImportFailed, match="can't be read as a SQLite database"):
        read(IMPORTER, tmp_path / "b.db")
    (tmp_path / "c.db").write_bytes(b"hello")
    with pytest.raises(ImportFailed, match="is not a SQLite database"):
        read(IMPORTER, tmp_path / "c.db")


def test_a_truncated_database(tmp_path, read):
    rows = [ROW | {"id": f"{number:05}", "response_json": {"pad": "x" * 500}} for number in range(500)]
    path = written(tmp_path / "logs.db", turns=rows)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImportFailed, match="can't be read as a SQLite database"):
        read(IMPORTER, path)


def test_the_file_is_not_written_to(tmp_path, read):
    path = written(tmp_path / "odd name?#%41.db", turns=[ROW])
    before = path.read_bytes()
    assert len(read(IMPORTER, path).calls) == 1
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_llm_0_36(samples, read):
    calls = read(IMPORTER, samples / "llm_logs" / "llm_0.36_turns.db").calls
    assert [(call.model, call.prompt_tokens, call.cache_read_tokens, call.completion_tokens) for call in calls] == [
        ("gpt-5.6-sol", 4020, 4012, 4),
        ("gpt-5.6-sol", 4020, None, 4),
        ("gpt-4o-2024-08-06", 423, None, 15),
        ("gpt-4o-2024-08-06", 364, None, 40),
        ("claude-sonnet-5", 2411, 0, 145),
        ("claude-sonnet-4-6", 181, None, 8),
    ]
    assert calls[1].cache_write_tokens == 4012
    assert [call.provider for call in calls] == ["openai"] * 4 + ["anthropic"] * 2
    # The advisor's tokens and the compaction's are not in the log.
    assert [call.anomaly is not None for call in calls] == [False] * 4 + [True] * 2


def test_llm_upgraded(samples, read):
    calls = read(IMPORTER, samples / "llm_logs" / "llm_0.28_upgraded_to_0.36.db").calls
    assert [(call.prompt_tokens, call.cache_read_tokens) for call in calls] == [
        (4020, 4012),
        (4020, None),
        (423, None),
        (364, None),
    ]


VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=6) | st.binary()
COLUMNS = ["model", "datetime_utc", "input_tokens", "output_tokens", "token_details", "response_json", "thread_id"]
DETAILS = st.dictionaries(
    st.sampled_from(
        [
            "prompt_tokens_details",
            "output_tokens_details",
            "cache_read_input_tokens",
            "cachedContentTokenCount",
            "server_tool_use",
            "type",
            "model",
            "content",
        ]
    ),
    st.none()
    | st.integers()
    | st.text(max_size=4)
    | st.lists(st.integers(), max_size=2)
    | st.just({"cached_tokens": 5}),
).map(json.dumps)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(column=st.sampled_from(COLUMNS), value=VALUES | DETAILS)
def test_any_value_in_any_column(logs, column, value):
    found = logs(ROW | {column: value})
    assert len(found.facts) == 1
    assert all("\n" not in said for _, said in found.reasons)
