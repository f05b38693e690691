"""`agent-ledger report --all-in`, `--by tool` and `--reprice`, and `agent-ledger show` as a small bill."""

from __future__ import annotations

import csv
import io

import pytest
from billed import billed
from support import call, price, tool_call

from agent_ledger import Ledger, reporting, repricing
from agent_ledger.ledger import reading


@pytest.fixture
def company(ledger, no_sources):  # noqa: ARG001
    """The path of a ledger with tool calls and a bill."""
    billed(ledger)
    return ledger.path


def test_all_in(company, run):
    result = run("report", company, "--by", "agent", "--all-in")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "agent id          calls     tool    llm usd    tool usd    all in    unpriced    uncosted",
        "                           calls                              usd       calls       calls",
        "--------------  -------  -------  ---------  ----------  --------  ----------  ----------",
        "(unallocated)         0        0  0.0000000      1.5000    1.5000           0           0",
        "a                     3        2  0.0005500      1.2500    1.2506           1           0",
        "b                     1        1          -      0.2500    0.2500           1           0",
        "(unattributed)        0        1  0.0000000           -         -           0           1",
        "",
        (
            "Total: 3.0006 USD: 0.0005500 USD for 4 calls, 3.0000 USD for 4 tool calls and what none of them claimed. "
            "Billed through 2026-02-02T00:00:00.000Z. 1 charge in a currency without exchange rate is not in it. "
            f"1 tool call has no cost. 2 calls have no price: agent-ledger check {company}"
        ),
    ]


@pytest.mark.parametrize("by", reporting.ALL_IN_AXES)
def test_json_has_the_columns_and_the_rows_of_the_canonical_view(by, company, read):
    rows = read("report", company, "--by", by, "--all-in", "--sort", "key")
    with reading(company) as connection:
        assert rows == [dict(row) for row in connection.execute(f"select * from all_in_by_{by} order by 1")]


def test_periods_and_zones(company, read):
    january = read("report", company, "--by", "agent", "--all-in", "--month", "2026-01")
    assert {row["agent_id"]: row["all_in_usd"] for row in january} == {"a": 0.50025, "(unallocated)": -0.5}
    days = read("report", company, "--by", "day", "--all-in", "--tz", "America/New_York")
    assert [(row["day"], row["all_in_usd"]) for row in days] == [
        ("2025-12-31", -0.5), ("2026-01-31", 2.50055), ("2026-02-01", 1.0),
    ]  # fmt: skip
    assert read("report", company, "--by", "team", "--all-in", "--since", "2026-03-01") == []


def test_sort_and_limit(company, read, run):
    by_calls = read("report", company, "--by", "agent", "--all-in", "--sort", "calls")
    assert [row["agent_id"] for row in by_calls][:2] == ["a", "b"]
    (largest,) = read("report", company, "--by", "customer", "--all-in", "--limit", "1")
    assert largest["customer_id"] == "(unallocated)"
    assert "1 of 3 rows shown" in run("report", company, "--by", "customer", "--all-in", "--limit", "1").stdout


def test_a_credit_comes_after_what_costs_nothing_and_before_what_nobody_knows(company, read):
    rows = read("report", company, "--by", "day", "--all-in", "--sort", "cost")
    assert [row["all_in_usd"] for row in rows] == [3.0003, 0.50025, -0.5, None]


def test_as_of(company, read):
    rows = read("report", company, "--by", "agent", "--all-in", "--as-of", "2020-01-01")
    assert {row["agent_id"]: (row["llm_usd"], row["tool_usd"]) for row in rows}["a"] == (None, 1.25)


def test_a_ledger_without_bills(book, run):
    text = run("report", book, "--by", "agent", "--all-in").stdout
    assert "Total: 32.4000 USD: 32.4000 USD for 5 calls, 0.00 USD for 0 tool calls" in text
    assert "No cloud bill was imported" in text


def test_csv(company, run):
    rows = list(csv.DictReader(io.StringIO(run("report", company, "--by", "team", "--all-in", "--csv").stdout)))
    assert list(rows[0]) == list(reporting.columns("team", all_in=True))


def test_by_tool(company, run, read):
    rows = read("report", company, "--by", "tool")
    assert [tuple(row.values()) for row in rows] == [
        ("s3", "get_object", 2, 1, 0, 1.0), ("web", "search", 1, 0, 0, 0.5), ("(unattributed)", "free", 1, 0, 1, None),
    ]  # fmt: skip
    assert [row["tool"] for row in read("report", company, "--by", "tool", "--month", "2026-01")] == ["search"]
    assert run("report", company, "--by", "tool").stdout.splitlines()[-1] == (
        "Total: 1.5000 USD for 4 tool calls. 1 tool call has no cost"
    )


def test_by_tool_without_any(book, run):
    assert run("report", book, "--by", "tool").stdout == f"{book} has no tool calls\n"


def test_reprice(book, run, read):
    rows = read("report", book, "--by", "agent", "--reprice", "dear=cheap", "--sort", "key")
    assert [(row["agent_id"], row["cost_usd"], row["repriced_usd"], row["difference_usd"]) for row in rows] == [
        ("=cmd()", 15.0, 1.2, -13.8), ("reader", 2.4, 2.4, 0.0), ("writer", 15.0, 1.2, -13.8),
    ]  # fmt: skip
    assert tuple(rows[0]) == repricing.columns("agent")
    text = run("report", book, "--by", "month", "--reprice", "dear=cheap").stdout
    assert "Total: 32.4000 USD for 5 calls; repriced: 4.8000 USD, -27.6000. 1 call has no price" in text
    both = read("report", book, "--by", "model", "--reprice", "dear=cheap", "--reprice", "nobody-knows-it=dear")
    assert {row["model"]: row["repriced_usd"] for row in both} == {"cheap": 2.4, "dear": 2.4, "nobody-knows-it": 15.0}
    then = read("report", book, "--by", "agent", "--reprice", "dear=cheap", "--month", "2026-01")
    assert [row["difference_usd"] for row in then] == [0.0]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        (("--by", "model", "--all-in"), 2, "a tool call has no model: give --all-in with --by agent, team"),
        (("--by", "tool", "--all-in"), 2, "leave --all-in and --reprice out"),
        (("--by", "tool", "--reprice", "a=b"), 2, "leave --all-in and --reprice out"),
        (("--by", "agent", "--all-in", "--reprice", "a=b"), 2, "leave --all-in out"),
        (("--by", "agent", "--reprice", "dear"), 2, "give MODEL=MODEL"),
        (("--by", "agent", "--reprice", "=dear"), 2, "give MODEL=MODEL"),
        (("--by", "agent", "--reprice", "nope=dear"), 1, "the ledger has no calls of nope"),
        (("--by", "agent", "--reprice", "dear=nobody-at-all"), 1, "no price is known for nobody-at-all"),
        (("--by", "agent", "--reprice", "dear=cheap", "--as-of", "2020-01-01"), 1, "no price is known for cheap"),
    ],
)
def test_refusals(arguments, exit_code, sentence, book, refused):
    assert sentence in refused(exit_code, "report", book, *arguments)


def test_show_is_a_small_bill(company, run, read):
    lines = run("show", company, "3").stdout.splitlines()
    assert "Lines of cloud bills, and what these tool calls take of them" in lines
    (line,) = [line for line in lines if line.startswith("get_object")]
    assert line.split()[1:] == ["t2", "bucket", "AmazonS3", "bucket", "-", "weighted", "3.00", "75.0%", "0.7500"]
    assert (
        lines[-1]
        == "All-in: 0.7500 USD = not known for 1 LLM call (1 call without a price) + 0.7500 USD for 1 tool call"
    )
    found = read("show", company, "3")
    assert [(row["method"], row["weight"], row["share"], row["cost_usd"]) for row in found["charges"]] == [
        ("weighted", 3.0, 0.75, 0.75)
    ]
    assert [(row["cost_usd"], row["cost_source"]) for row in found["tool_calls"]] == [(0.75, "allocated")]
    assert (found["llm_usd"], found["tool_usd"], found["all_in_usd"]) == (None, 0.75, 0.75)


def test_show_says_what_the_view_says(company, read):
    with reading(company) as connection:
        rows = [dict(row) for row in connection.execute("select * from all_in_by_request")]
    for row in rows:
        found = read("show", company, row["request_id"])
        assert [found[name] for name in ("llm_usd", "tool_usd", "all_in_usd")] == [
            row[name] for name in ("llm_usd", "tool_usd", "all_in_usd")
        ]
        assert (len(found["calls"]), len(found["tool_calls"])) == (row["calls"], row["tool_calls"])


def test_show_a_request_that_two_observers_recorded(ledger, no_sources, run, read):  # noqa: ARG001
    shared = {"response_id": "msg_01abcdefghijklmnopqrstuv"}
    ledger.record_call(**call(request_id="span", evidence="span", **shared))
    ledger.record_call(**call(request_id="sdk", evidence="response", **shared))
    ledger.record_tool_call(**tool_call(request_id="span", cost_usd=0.25))
    ledger.set_prices([price(input=2_000_000, output=5_000_000)])
    found = read("show", ledger.path, "sdk")
    assert (found["llm_usd"], found["tool_usd"], found["all_in_usd"]) == (0.00025, 0.25, 0.25025)
    assert run("show", ledger.path, "span").stdout.splitlines()[-1] == "Nothing of this request counts; see sdk"
    other = read("show", ledger.path, "span")
    assert (other["calls"], other["tool_calls"], other["all_in_usd"]) == ([], [], None)
    assert [row["by_request_id"] for row in other["not_counted"]] == ["sdk"]


def test_reading_writes_nothing(company, run):
    before = company.read_bytes()
    for arguments in (("--all-in",), ("--reprice", "m=m"), ("--all-in", "--since", "2026-01-01")):
        assert run("report", company, "--by", "agent", *arguments).exit_code == 0
    assert run("show", company, "3").exit_code == 0
    assert company.read_bytes() == before


def test_the_sentence_of_the_mission(tmp_path, no_sources, run):  # noqa: ARG001
    """$1.20 in tokens is $1.85 all-in."""
    with Ledger(tmp_path / "l.db") as ledger:
        ledger.set_prices([price(input=12_000_000, output=1)])
        ledger.record_call(**call(request_id="r", prompt_tokens=100_000, completion_tokens=0))
        ledger.record_tool_call(**tool_call(request_id="r", cost_usd=0.65))
    assert run("show", tmp_path / "l.db", "r").stdout.splitlines()[-1] == (
        "All-in: 1.8500 USD = 1.2000 USD for 1 LLM call + 0.6500 USD for 1 tool call"
    )
