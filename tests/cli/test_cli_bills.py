"""`agent-ledger allocate`, `rule`, `rate`, `tool-price`, and bills through `agent-ledger import`."""

from __future__ import annotations

import csv

import pytest
from support import query, tool_call

from agent_ledger import Ledger

LINE = {
    "identity/LineItemId": "1",
    "bill/PayerAccountId": "111",
    "bill/BillingPeriodStartDate": "2026-01-01T00:00:00Z",
    "lineItem/LineItemType": "Usage",
    "lineItem/UsageStartDate": "2026-01-15T12:00:00Z",
    "lineItem/UsageEndDate": "2026-01-15T13:00:00Z",
    "lineItem/CurrencyCode": "USD",
    "lineItem/UnblendedCost": "2",
    "lineItem/NetUnblendedCost": "1",
    "lineItem/ProductCode": "AmazonS3",
    "lineItem/ResourceId": "bucket",
}


@pytest.fixture
def cur(tmp_path):
    """`cur("a/1.csv", {"lineItem/UnblendedCost": "3"}, …)`: a file with lines that differ so."""

    def write(name, *changes):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, LINE)
            writer.writeheader()
            writer.writerows(LINE | change for change in changes)
        return path

    return write


@pytest.fixture
def billed(tmp_path, no_sources):  # noqa: ARG001
    """A ledger with two tool calls that touched the bucket."""
    path = tmp_path / "billed.db"
    with Ledger(path) as ledger:
        for number in (1, 2):
            ledger.record_tool_call(**tool_call(tool_call_id=str(number), resource_id="bucket", duration_ms=number))
    return path


def total(path):
    return query(path, "select sum(cost_usd) from billed_charge")[0][0]


COST = "lineItem/UnblendedCost"
ID = "identity/LineItemId"


def test_the_files_of_a_folder_are_one_delivery(billed, cur, run):
    folder = cur("a/1.csv", {}, {ID: "2"}).parent
    cur("a/2.csv", {ID: "3"}, {COST: "5"})
    result = run("import", billed, "cur", folder)
    assert result.exit_code == 0
    assert "2 files imported: 4 records read, 4 added" in result.stdout
    assert total(billed) == 11
    assert "4 records read, 0 added, 4 already there" in run("import", billed, "cur", folder).stdout
    assert query(billed, "select count(*) from delivery") == [(1,)]
    cur("b/1.csv", {})
    run("import", billed, "cur", folder.parent / "b", folder)  # the folder that was there is still the earlier one
    assert total(billed) == 2
    assert query(billed, "select sum(cost_usd) from tool_cost") == [(2.0,)]


def test_a_part_that_can_not_be_read_leaves_the_earlier_delivery(billed, cur, run):
    run("import", billed, "cur", cur("a/1.csv", {}))
    folder = cur("b/1.csv", {COST: "9"}).parent
    (folder / "2.csv").write_text("nonsense\n1\n")
    result = run("import", billed, "cur", folder)
    assert result.exit_code == 1
    assert "2.csv lacks bill/" in result.stderr or "2.csv lacks" in result.stderr
    assert total(billed) == 2


def test_a_delivery_with_a_name(billed, cur, run):
    one, two = cur("a/1.csv", {}), cur("b/2.csv", {COST: "3"})
    run("import", billed, "cur", one, two, "--delivery", "January")
    assert total(billed) == 5
    assert query(billed, "select name from delivery") == [("January",)]


def test_one_cost_measure(billed, cur, run):
    file = cur("a/1.csv", {})
    assert run("import", billed, "cur", file, "--cost-measure", "net_unblended").exit_code == 0
    assert total(billed) == 1
    result = run("import", billed, "cur", file, "--cost-measure", "unblended")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "have the cost measure net_unblended: unblended can't be added to it" in result.stderr


def test_allocate(billed, cur, run, read):
    assert "has no cloud bill: import one" in run("allocate", billed).stdout
    run("import", billed, "cur", cur("a/1.csv", {}, {ID: "2", "lineItem/LineItemType": "Tax", COST: "0.5"}))
    assert read("allocate", billed) == [
        {"part": "allocated", "how": "weighted", "lines": 1, "cost_usd": 2.0},
        {"part": "unallocated", "how": "tax or fee", "lines": 1, "cost_usd": 0.5},
    ]
    assert "tax or fee" in run("allocate", billed).stdout


def test_rules(billed, cur, run, read, refused):
    run("import", billed, "cur", cur("a/1.csv", {COST: "3"}))
    assert "has no rules" in run("rule", billed, "list").stdout
    run(
        "rule",
        billed,
        "set",
        "slow",
        "--service",
        "AmazonS3",
        "--tool",
        "t",
        "--method",
        "weighted",
        "--weight",
        "duration",
    )
    assert query(billed, "select cost_usd from tool_cost order by id") == [(1.0,), (2.0,)]
    assert "AmazonS3" in run("rule", billed, "list").stdout
    run("rule", billed, "set", "slow", "--method", "none", "--priority", "7")
    assert [(row["name"], row["method"], row["priority"]) for row in read("rule", billed, "list")] == [
        ("slow", "none", 7)
    ]
    assert read("allocate", billed)[0]["how"] == "by rule"
    assert "--method" in refused(2, "rule", billed, "set", "x")
    assert "give the rule a name" in refused(2, "rule", billed, "set", " ", "--method", "none")


def test_rates(billed, cur, run, read, refused):
    run("import", billed, "cur", cur("a/1.csv", {"lineItem/CurrencyCode": "EUR"}))
    assert read("allocate", billed) == [
        {"part": "unallocated", "how": "no exchange rate", "lines": 1, "cost_usd": None}
    ]
    assert "has no exchange rates" in run("rate", billed, "list").stdout
    assert run("rate", billed, "set", "eur", "1.5").stdout == "1 EUR is 1.5 USD, since ever\n"
    assert query(billed, "select sum(cost_usd) from tool_cost") == [(3.0,)]
    run("rate", billed, "set", "EUR", "1.25", "--from", "2026-01-15")
    assert query(billed, "select sum(cost_usd) from tool_cost") == [(2.5,)]
    assert [row["usd"] for row in read("rate", billed, "list")] == [1.5, 1.25]
    assert "since ever" in run("rate", billed, "list").stdout
    assert "give what one unit is worth" in refused(1, "rate", billed, "set", "EUR", "0")
    assert "give an amount" in refused(2, "rate", billed, "set", "EUR", "much")
    assert "three letters" in refused(1, "rate", billed, "set", "USD", "1")


def test_tool_prices(billed, run, read, refused):
    assert "has no tool prices" in run("tool-price", billed, "list").stdout
    assert run("tool-price", billed, "set", "t", "--price", "0.005").stdout == "t costs 0.005 USD per call\n"
    run("tool-price", billed, "set", "t", "--price", "1", "--server", "s", "--unit", "pages", "--from", "2026-02-01")
    assert query(billed, "select sum(cost_usd) from tool_cost") == [(0.01,)]
    assert [(row["server"], row["unit"], row["price_usd"]) for row in read("tool-price", billed, "list")] == [
        (None, None, 0.005), ("s", "pages", 1.0)
    ]  # fmt: skip
    assert "since ever" in run("tool-price", billed, "list").stdout
    assert "--price" in refused(2, "tool-price", billed, "set", "t")
    assert "price is -1.0: give an amount" in refused(1, "tool-price", billed, "set", "t", "--price", "-1")
