from __future__ import annotations

import json

import pytest
from invoiced import bill, priced, report, used

from agent_ledger import Ledger


@pytest.fixture
def path(tmp_path, no_sources):  # noqa: ARG001
    """$20 in the ledger, $22 on the bill of p: a price that is 5 % higher and a model that nobody recorded."""
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        priced(ledger, m=10)
        used(ledger)
        used(ledger, agent_id="b")
        used(ledger, provider="q")
        bill(ledger, {"cost": "21", "model": "m"}, {"cost": "1", "model": "z"})
        report(ledger, {"m": 2_000_000})
    return path


def test_what_is_printed(path, run):
    result = run("reconcile", path, "--month", "2026-01")
    assert result.exit_code == 1
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "p 2 0 20.0000 22.0000 2.0000 100.0%" in lines
    assert "used and not recorded 1.0000" in lines
    assert "same tokens, other price 1.0000" in lines
    assert "p m 2,000,000 2,000,000 20.0000 21.0000 1.0000" in lines
    assert lines[-6:] == [
        "p a 1 10.0000",
        "p b 1 10.0000",
        "p (unattributed) 0 2.0000",
        "",
        "p: agents and (unattributed) add up to the invoice, 22.0000 USD; beyond the tolerance",
        "q: 1 call and no bill",
    ]


@pytest.mark.parametrize(
    ("tolerance", "code"),
    [("2", 0), ("1.99", 1), ("0", 1), ("9.1%", 0), ("9%", 1), ("100%", 0), (None, 1)],
)
def test_the_exit_code_says_whether_they_agree(path, run, tolerance, code):
    options = ("--tolerance", tolerance) if tolerance else ()
    assert run("reconcile", path, "--month", "2026-01", "--provider", "P", *options).exit_code == code


def test_json(path, run):
    result = run("reconcile", path, "--month", "2026-01", "--tolerance", "10%", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["month"], found["within_tolerance"]) == ("2026-01", True)
    assert [(row["provider"], row["difference_usd"]) for row in found["providers"]] == [("p", 2.0), ("q", None)]
    assert sum(row["cost_usd"] for row in found["agents"]) == 22.0
    assert {row["model"] for row in found["models"]} == {"m", "z"}


def test_a_line_that_nobody_can_convert_is_not_agreement(path, run):
    with Ledger(path) as ledger:
        bill(ledger, {"cost": "20", "model": "m"}, {"cost": "1", "currency": "GBP"}, name="corrected")
    result = run("reconcile", path, "--month", "2026-01")
    assert result.exit_code == 1
    assert "p: 1 line in a currency without exchange rate\n" in result.stdout


@pytest.mark.parametrize(
    ("code", "options", "sentence"),
    [
        (1, ("--month", "2026-02"), "has no bill for the tokens of 2026-02: import one"),
        (1, ("--month", "2026-01", "--provider", "q"), "has no bill of q for the tokens of 2026-01"),
        (2, (), "Missing option '--month'"),
        (2, ("--month", "January"), "give a month such as 2026-01"),
        (2, ("--month", "2026-13"), "give a month such as 2026-01"),
        (2, ("--month", "2026-01", "--tolerance", "-1"), "give a share such as 1%"),
        (2, ("--month", "2026-01", "--tolerance", "little"), "give a share such as 1%"),
        (2, ("--month", "2026-01", "--tolerance", "1e99"), "give a share such as 1%"),
        (2, ("--month", "2026-01", "--tolerance", "nan%"), "give a share such as 1%"),
    ],
)
def test_bad_input(path, refused, code, options, sentence):
    assert sentence in refused(code, "reconcile", path, *options)
