"""`agent-ledger close`, and what check says about closed months."""

from __future__ import annotations

import json
import re
import sqlite3

import pytest

from agent_ledger import Ledger, PriceRevision


def test_a_month_is_closed_with_its_total_and_digest(book, run):
    result = run("close", book, "2026-02", "--by", "ana", "--reason", "month end")
    assert result.exit_code == 0
    first, second, *rest = result.stdout.splitlines()
    assert first == "closed 2026-02: 30.0000 USD (LLM calls 30.0000 USD, tool calls and bills 0.0000 USD)"
    assert re.fullmatch(r"\d+ figures, SHA-256 [0-9a-f]{64}", second)
    assert rest == []
    assert result.stderr == "Warning: 1 of 3 LLM calls have no price\n"


def test_json(book, read):
    closed = read("close", book, "2026-02")
    assert closed["month"] == "2026-02"
    assert (closed["llm_usd"], closed["tool_usd"], closed["all_in_usd"]) == (30.0, 0.0, 30.0)
    assert closed["warnings"] == ["1 of 3 LLM calls have no price"]
    (row,) = read("rows", book, "closed_month")
    assert (row["digest"], row["closed_at"]) == (closed["digest"], closed["closed_at"])
    assert read("close", book, "2026-02", "--reopen", "--reason", "again") == {
        "month": "2026-02",
        "event": "reopen",
        "reason": "again",
    }


def test_a_month_where_nothing_is_known(tmp_path, run):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.record_call(agent_id="a", model="nobody-knows-it", prompt_tokens=1, completion_tokens=1, ts="2026-01-05")
    stdout = run("close", path, "2026-01").stdout
    assert stdout.startswith("closed 2026-01: unknown (LLM calls unknown, tool calls and bills 0.00 USD)\n")


def test_late_rows_show_in_the_restatement_and_the_month_can_be_closed_anew(book, run, read):
    run("close", book, "2026-02")
    with Ledger(book) as ledger:
        ledger.record_call(
            agent_id="reader", model="cheap", prompt_tokens=1_000_000, completion_tokens=0, ts="2026-02-03"
        )
    by_axis = {row["axis"]: row for row in read("rows", book, "restatement", "--where", "key=reader")}
    assert by_axis["agent"]["difference_usd"] == 1.0
    assert by_axis["agent"]["cause"] == "late calls"
    result = run("close", book, "2026-02", "--reopen", "--reason", "a late call")
    assert (result.exit_code, result.stdout) == (0, "2026-02 is open again\n")
    assert run("close", book, "2026-02").stdout.startswith("closed 2026-02: 31.0000 USD")
    assert [row["difference_usd"] for row in read("rows", book, "restatement")] == [0.0]
    assert [row["event"] for row in read("rows", book, "period_close")] == ["close", "reopen", "close"]


@pytest.mark.parametrize("month", ["2026-13", "february", "2026-02-01"])
def test_what_is_no_month(book, refused, month):
    assert "give a month such as 2026-10" in refused(2, "close", book, month)


def test_refusals(book, refused, run):
    assert "2999-01 is not over yet: close it from 2999-02-01 on (UTC)" in refused(1, "close", book, "2999-01")
    assert "2026-02 is not closed" in refused(1, "close", book, "2026-02", "--reopen", "--reason", "x")
    assert "--reopen needs --reason" in refused(2, "close", book, "2026-02", "--reopen")
    run("close", book, "2026-02")
    assert "open it again first, with --reopen and a reason" in refused(1, "close", book, "2026-02")


def test_no_ledger(tmp_path, refused):
    path = tmp_path / "none.db"
    assert "does not exist" in refused(2, "close", path, "2026-02")
    assert not path.exists()


def test_check_finds_figures_that_were_changed(book, run):
    run("close", book, "2026-02")
    assert "closed_figures" not in run("check", book).stdout
    with sqlite3.connect(book) as connection:
        connection.execute("drop trigger closed_figure_no_update")
        connection.execute("update closed_figure set calls = 9 where axis = 'total'")
    connection.close()
    result = run("check", book, "--csv")
    assert result.exit_code == 1
    assert "its figures do not match its digest: bring the file back from a backup" in result.stdout


# -- report --as-closed -----------------------------------------------------------------------------------------------


@pytest.fixture
def tooled(book):
    """The ledger with a tool call in February."""
    with Ledger(book) as ledger:
        ledger.record_tool_call(tool="t", agent_id="reader", request_id="r4", cost_usd=0.5, ts="2026-02-10")
    return book


def late(book):
    with Ledger(book) as ledger:
        ledger.record_call(agent_id="new", model="dear", prompt_tokens=1, completion_tokens=1, ts="2026-02-03")
        ledger.set_prices([PriceRevision(model="dear", source="contract", input=1, output=1)])
        ledger.assign("writer", team="moved")


@pytest.mark.parametrize("by", ["agent", "team", "feature", "customer", "model", "day", "month"])
def test_a_report_as_closed_is_the_report_of_then(tooled, run, read, by):
    month = ("report", tooled, "--month", "2026-02", "--by", by)
    forms = [["--json"], ["--csv"], [], ["--sort", "calls", "--limit", "1"]]
    if by != "model":
        forms += [["--all-in", "--json"], ["--all-in", "--csv"]]
    before = [run(*month, *form).stdout for form in forms]
    run("close", tooled, "2026-02")
    late(tooled)
    assert [run(*month, "--as-closed", *form).stdout for form in forms] == before
    assert read(*month) != json.loads(before[0])


def test_the_total_of_an_all_in_report_as_closed(tooled, run):
    run("close", tooled, "2026-02")
    late(tooled)
    stdout = run("report", tooled, "--month", "2026-02", "--by", "agent", "--all-in", "--as-closed").stdout
    assert "Total: 30.5000 USD: 30.0000 USD for 3 calls, 0.5000 USD for 1 tool call" in stdout
    assert "1 call has no price" in stdout


def test_a_report_as_closed_of_a_month_without_calls(tooled, run):
    run("close", tooled, "2025-02")
    result = run("report", tooled, "--month", "2025-02", "--by", "agent", "--as-closed")
    assert (result.exit_code, result.stdout) == (0, f"{tooled} has no calls in this period\n")


@pytest.mark.parametrize(
    "options",
    [
        ("--by", "agent"),
        ("--by", "tool", "--month", "2026-02"),
        ("--by", "agent", "--month", "2026-02", "--tz", "Europe/Berlin"),
        ("--by", "agent", "--month", "2026-02", "--as-of", "2026-03-01"),
        ("--by", "agent", "--month", "2026-02", "--reprice", "dear=cheap"),
        ("--by", "agent", "--since", "2026-02-01"),
    ],
)
def test_what_a_report_as_closed_can_not_do(tooled, refused, options):
    assert refused(2, "report", tooled, "--as-closed", *options).startswith("--as-closed needs --month")


def test_a_report_as_closed_of_a_month_that_is_open(tooled, refused):
    sentence = refused(1, "report", tooled, "--as-closed", "--by", "agent", "--month", "2026-02")
    assert sentence == "2026-02 is not closed: agent-ledger close LEDGER 2026-02"
