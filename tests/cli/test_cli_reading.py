"""`agent-ledger show`, `check`, `views`, `rows` and `demo`."""

from __future__ import annotations

import csv
import io
import json

import pytest

from agent_ledger import Ledger
from agent_ledger.schema import scripts


@pytest.fixture
def request_of_all_kinds(book):
    """Two inferences, one rejected, one superseded, and tool calls."""
    call = {"request_id": "big", "agent_id": "reader", "ts": "2026-03-01T00:00:00Z"}
    with Ledger(book) as ledger:
        ledger.record_calls(
            [
                {**call, "model": "cheap", "prompt_tokens": 1_000_000, "completion_tokens": 0, "response_id": "m1"},
                {**call, "model": "cheap", "prompt_tokens": 5, "completion_tokens": 0, "response_id": "m1"},
                {**call, "model": "x", "prompt_tokens": 7, "completion_tokens": 7, "response_id": "m2"},
            ]
        )
        ledger.record_tool_call(
            request_id="big", tool="get", tool_call_id="t1", server="s3", resource_id="bucket", status="ok"
        )
        ledger.record_tool_call(request_id="big", tool="get", tool_call_id="t1", server="s3", resource_id="other")
    return book


def test_show(request_of_all_kinds, run):
    text = run("show", request_of_all_kinds, "big").stdout
    assert "LLM calls" in text
    assert "Tool calls" in text
    assert "Rows that do not count" in text
    assert "conflict" in text
    assert "bucket" in text
    assert text.splitlines()[-1] == (
        "All-in: 1.0000 USD = 1.0000 USD for 2 LLM calls (1 call without a price)"
        " + not known for 1 tool call (1 call without a cost)"
    )


def test_show_json(request_of_all_kinds, read):
    found = read("show", request_of_all_kinds, "big")
    assert list(found) == [
        *("request_id", "calls", "tool_calls", "charges", "llm_usd", "tool_usd", "all_in_usd", "not_counted")
    ]
    assert [call["prompt_tokens"] for call in found["calls"]] == [1_000_000, 7]
    assert [call["cost_usd"] for call in found["calls"]] == [1.0, None]
    assert [tool_call["resource_id"] for tool_call in found["tool_calls"]] == ["bucket"]
    assert (found["llm_usd"], found["tool_usd"], found["all_in_usd"]) == (1.0, None, 1.0)
    assert [tool_call["error_type"] for tool_call in found["tool_calls"]] == [None]
    assert [row["kind"] for row in found["not_counted"]] == ["llm", "tool"]


def test_show_a_request_without_a_price(book, run, read):
    assert read("show", book, "r4")["all_in_usd"] is None
    assert run("show", book, "r4").stdout.splitlines()[-1] == (
        "All-in: not known = not known for 1 LLM call (1 call without a price) + 0.00 USD for 0 tool calls"
    )


def test_show_a_request_that_only_the_audit_knows(book, run):
    with Ledger(book) as ledger:
        ledger.record_tool_call(request_id="lonely", tool="get")
    assert run("show", book, "lonely").stdout.splitlines()[-1] == (
        "All-in: not known = 0.00 USD for 0 LLM calls + not known for 1 tool call (1 call without a cost)"
    )


@pytest.mark.parametrize("request_id", ["nope", "", "R1", "' or 1=1 --"])
def test_show_an_unknown_request(request_id, book, refused):
    assert refused(1, "show", book, request_id).startswith(f"{book} has no request")


def test_check_finds(book, run):
    result = run("check", book)
    assert result.exit_code == 1
    assert "unpriced_calls" in result.stdout
    assert "nobody-knows-it, 1 call" in result.stdout
    assert result.stdout.endswith("\n1 problem found\n")
    found = run("check", book, "--json")
    assert found.exit_code == 1
    assert [(row["check"], row["subject"]) for row in json.loads(found.stdout)] == [
        ("unpriced_calls", "nobody-knows-it, 1 call")
    ]
    assert run("check", book, "--csv").stdout.startswith("check,subject,problem\nunpriced_calls,")


def test_check_of_a_sound_ledger(tmp_path, run, read):
    run("init", tmp_path / "l.db")
    result = run("check", tmp_path / "l.db")
    assert result.exit_code == 0
    assert f"{tmp_path / 'l.db'} is sound" in result.stdout
    assert read("check", tmp_path / "l.db") == []


def test_views(book, run, read):
    rows = read("views", book)
    assert [row["view"] for row in rows] == list(scripts("views"))
    questions = {row["view"]: row["question"] for row in rows}
    assert questions["cost_by_agent"] == "Which agent spent the money? LLM calls only."
    assert all(question and "*/" not in question for question in questions.values())
    assert "cost_by_agent" in run("views", book).stdout


def test_rows(book, run, read):
    assert [row["request_id"] for row in read("rows", book, "call_cost", "--where", "agent_id=reader")] == ["r1", "r2"]
    assert [row["request_id"] for row in read("rows", book, "ledger", "--where", "id=3")] == ["r3"]
    assert len(read("rows", book, "call_cost", "--limit", "2")) == 2
    both = read("rows", book, "daily_cost", "--where", "model=dear", "--where", "calls=1", "--where", "agent_id==cmd()")
    assert len(both) == 1
    assert read("rows", book, "call_cost", "--as-of", "2020-01-01", "--limit", "1")[0]["cost_usd"] is None
    (row,) = csv.DictReader(io.StringIO(run("rows", book, "coverage", "--csv").stdout))
    assert row["calls"] == "5"
    assert run("rows", book, "request_conflicts").stdout == "request_conflicts has no rows\n"
    assert run("rows", book, "ledger", "--where", "id=99").stdout == "ledger has no such rows\n"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        (("nope",), 1, "there is no view or table 'nope'"),
        (('x"; drop table ledger; --',), 1, "there is no view or table"),
        (("ledger", "--where", "x=1"), 1, "ledger has no column 'x'"),
        (("ledger", "--where", "agent_id"), 2, "give COLUMN=VALUE"),
        (("ledger", "--limit", "-1"), 2, "-1 is not in the range"),
        (("ledger", "--as-of", "then"), 2, "give a date"),
    ],
)
def test_rows_refuses(arguments, exit_code, sentence, book, refused):
    assert sentence in refused(exit_code, "rows", book, *arguments)


def test_reading_writes_nothing(book, run):
    before = book.read_bytes()
    for command in (("report", "--by", "day", "--tz", "Asia/Tokyo"), ("check",), ("rows", "coverage"), ("show", "r1")):
        run(command[0], book, *command[1:])
    assert book.read_bytes() == before


def test_demo(tmp_path, run, refused):
    path = tmp_path / "demo.db"
    assert run("demo", path).exit_code == 0
    assert run("report", path, "--by", "team").exit_code == 0
    assert "exists already" in refused(1, "demo", path)
    assert "make it first" in refused(1, "demo", tmp_path / "none" / "demo.db")
