"""`agent-ledger share`, and its column in `agent-ledger report`."""

from __future__ import annotations

import pytest
from billed import billed
from support import query

from agent_ledger import InvalidRecord, Ledger

REPORT = ("--by", "agent", "--all-in")


@pytest.fixture
def company(ledger, no_sources):  # noqa: ARG001
    """The path of a ledger with tool calls and a bill."""
    billed(ledger)
    return ledger.path


def test_the_report_gets_a_column_and_the_others_stay(company, run, read):
    february = (*REPORT, "--month", "2026-02")
    before = read("report", company, *february)
    assert all("shared_usd" not in row for row in before)
    done = run("share", company, "fixed", "a=3", "b=1")
    assert (done.exit_code, done.stdout) == (
        0, f"sharing is fixed: agent-ledger rows {company} shared_by_agent shows it\n"
    )  # fmt: skip
    after = read("report", company, *february)
    parts = {row["agent_id"]: row.pop("shared_usd") for row in after}
    assert parts == {"a": 1.5, "b": 0.5, "(unattributed)": 0.0, "(unallocated)": None}
    assert after == before
    table = run("report", company, *february).stdout
    assert "shared" in table.splitlines()[0]
    assert "Total: 3.0003 USD" in table
    run("share", company, "none")
    assert read("report", company, *february) == before


@pytest.mark.parametrize(
    "period", [(), ("--since", "2026-02-01"), ("--month", "2026-02", "--tz", "Europe/Berlin")], ids=str
)
def test_other_periods_say_why_there_is_no_such_column(company, run, period):
    before = run("report", company, *REPORT, *period)
    run("share", company, "proportional")
    after = run("report", company, *REPORT, *period)
    assert after.stdout == before.stdout
    assert (before.stderr, after.stderr) == (
        "", "What is shared over agents is shown for whole months of UTC: give --month\n"
    )  # fmt: skip


def test_other_reports_have_nothing_to_do_with_it(company, run):
    run("share", company, "even")
    for arguments in (("--by", "team", "--all-in"), ("--by", "agent", "--month", "2026-02")):
        result = run("report", company, *arguments)
        assert "shared" not in result.output


def test_the_newest_rule_is_in_the_ledger(company, run, read):
    run("share", company, "even")
    run("share", company, "fixed", "x=y=0.25")
    found = read("rows", company, "sharing_rule")
    assert [(row["method"], row["shares"]) for row in found] == [("even", None), ("fixed", '{"x=y": 0.25}')]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fixed",), "give AGENT=WEIGHT with fixed"),
        (("even", "a=1"), "give AGENT=WEIGHT with fixed"),
        (("fixed", "a"), "such as reader=3"),
        (("fixed", "a=x"), "such as reader=3"),
        (("fixed", "a=nan"), "such as reader=3"),
        (("fixed", "a=1", "a=2"), "named twice"),
        (("odd",), "'odd' is not one of"),
    ],
)
def test_what_is_refused(company, refused, arguments, said):
    assert said in refused(2, "share", company, *arguments)
    assert query(company, "select * from sharing_rule") == []


@pytest.mark.parametrize("weights", [("=1",), ("a=-1",), ("a=0",), ("a=1e12",)])
def test_weights_that_make_no_sense(company, run, weights):
    result = run("share", company, "fixed", *weights)
    assert result.exit_code != 0
    assert result.stderr.startswith("Error: ")
    assert query(company, "select * from sharing_rule") == []


def test_a_mistyped_name_is_no_new_ledger(tmp_path, refused):
    assert "does not exist" in refused(2, "share", tmp_path / "x.db", "even")
    assert list(tmp_path.iterdir()) == []


def test_the_method_of_the_ledger(ledger: Ledger) -> None:
    for method, shares in (("odd", None), ("fixed", None), ("even", {"a": 1}), ("fixed", {"a": 0}), ("fixed", {"": 1})):
        with pytest.raises(InvalidRecord):
            ledger.set_sharing(method, shares)
    ledger.set_sharing("even")
    assert query(ledger, "select method, shares from sharing_rule") == [("even", None)]
