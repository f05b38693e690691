from __future__ import annotations

from typing import Any

from support import add_bill, add_charge, add_delivery, call, raw, spent

from agent_ledger import Ledger

PICOS_PER_4096TH = 244_140_625


def picos(row: dict[str, Any], part: str) -> int | None:
    whole, rest = row[f"{part}_4096ths"], row[f"{part}_picos"]
    assert rest is None or 0 <= rest < PICOS_PER_4096TH
    return None if whole is None else whole * PICOS_PER_4096TH + rest


def by_key(ledger: Ledger, month: str, axis: str) -> dict[str, tuple[Any, ...]]:
    return {
        row["key"]: (row["calls"], picos(row, "llm"), row["unpriced_calls"], row["tool_calls"], picos(row, "tool"))
        for row in ledger.rows("monthly_figure", month=month, axis=axis)
    }


def test_given_rows_expected_rows(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    spent(ledger)
    with raw(ledger) as connection:
        add_bill(connection)
    rest = (0, None, 0, 0, 3_750_003_000_000)
    assert by_key(ledger, "2026-01", "agent") == {"a": (1, 250_000_000, 0, 1, 1_000_000), "(unallocated)": rest}
    assert by_key(ledger, "2026-01", "day") == {
        "2026-01-15": (0, None, 0, 1, 3_750_004_000_000),
        "2026-01-31": (1, 250_000_000, 0, 0, None),
    }
    assert by_key(ledger, "2026-01", "model") == {"m": (1, 250_000_000, 0, None, None)}
    assert by_key(ledger, "2026-01", "total") == {"": (1, 250_000_000, 0, 1, 3_750_004_000_000)}
    assert by_key(ledger, "2026-02", "customer") == {
        "(unattributed)": (2, 300_000_000, 1, 0, None),
        "acme": (1, None, 1, 0, None),
    }
    assert by_key(ledger, "2026-02", "model") == {
        "m": (2, 300_000_000, 1, None, None),
        "unknown": (1, None, 1, None, None),
    }
    assert {row["axis"] for row in ledger.rows("monthly_figure")} == {
        *("agent", "team", "feature", "customer", "model", "day", "total")
    }


def test_tokens_are_those_of_the_cost_views(ledger: Ledger, no_sources: None) -> None:  # noqa: ARG001
    ledger.record_call(**call(cache_read_tokens=7, cache_write_tokens=5))
    ledger.record_call(**call(request_id="2", prompt_tokens=None, completion_tokens=None))
    names = ("calls", "prompt_tokens", "cache_read_tokens", "cache_write_tokens", "completion_tokens")
    [row] = ledger.rows("cost_by_month")
    for figure in ledger.rows("monthly_figure"):
        assert [figure[name] for name in names] == [row[name] for name in names] == [2, 100, 7, 5, 10]


def test_an_amount_below_zero_has_a_rest_above(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        delivery = add_delivery(connection)
        add_charge(connection, delivery, "1", "-0.000000000001", category="credit")
    [row] = ledger.rows("monthly_figure", axis="total")
    assert (row["tool_4096ths"], row["tool_picos"]) == (-1, PICOS_PER_4096TH - 1)


def test_an_empty_ledger_has_no_rows(ledger: Ledger) -> None:
    assert ledger.rows("monthly_figure") == []
