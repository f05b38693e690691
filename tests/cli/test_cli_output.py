"""How values look."""

from __future__ import annotations

import pytest

from agent_ledger.cli import output


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0.00"),
        (1, "1.0000"),
        (100, "100.00"),
        (1234567.891, "1,234,567.89"),
        (0.5, "0.5000"),
        (0.0123456, "0.0123"),
        (0.00001234, "0.00001234"),
        (0.99996, "1.0000"),
        (1e-15, "<0.000000000001"),
    ],
)
def test_money(value, shown):
    assert output.money(value) == shown


def test_the_amounts_of_a_column_have_the_same_decimals():
    rows = [{"cost_usd": 17343.9342}, {"cost_usd": 8.5}, {"cost_usd": 0.001}, {"cost_usd": 0}, {"cost_usd": None}]
    lines = [line.strip() for line in output.as_table(rows, ["cost_usd"]).splitlines()[2:]]
    assert lines == ["17,343.93", "8.50", "<0.01", "0.00", "unpriced"]


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("cost_usd", None, "unpriced"),
        ("reported_cost_usd", None, "-"),
        ("team", None, "-"),
        ("calls", 12345, "12,345"),
        ("price_id", 12345, "12345"),
        ("id", 12345, "12345"),
        ("team_cost_share", 0.5, "50.0%"),
        ("input_usd_mtok", 0.075, "0.075"),
        ("input_usd_mtok", 3.0, "3.00"),
        ("input_price", 3e-08, "3e-08"),
        ("agent_id", "a\x1b[2Jb\nc", r"a\x1b[2Jb\nc"),
        ("valid_from", "0001-01-01T00:00:00.000Z", "since ever"),
    ],
)
def test_cell(column, value, shown):
    assert output.cell(column, value) == shown


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_defuses_formulas_in_text_only(start):
    text = output.as_csv([{"a": f"{start}1", "b": -1}], ["a", "b"])
    assert f"'{start}1" in text
    assert text.endswith(",-1\n")


def test_csv_keeps_every_decimal_and_null_is_empty():
    assert output.as_csv([{"a": 0.1 + 0.2, "b": None}], ["a", "b"]) == "a,b\n0.30000000000000004,\n"


def test_numbers_stand_to_the_right():
    table = output.as_table([{"agent_id": "a", "calls": 5}, {"agent_id": "bcd", "calls": 12345}], ["agent_id", "calls"])
    assert table.splitlines() == [
        "agent id      calls",
        "----------  -------",
        "a                 5",
        "bcd          12,345",
    ]
