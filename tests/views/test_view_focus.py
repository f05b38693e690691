from __future__ import annotations

import pytest
from focus_rules import expected_picos, fill
from support import NOON, add_charge, add_delivery, add_prices, call, nearest_double, price, query, raw

from agent_ledger import Ledger

pytestmark = pytest.mark.usefixtures("no_sources")


def quantities(ledger: Ledger) -> dict[tuple[str, int], float]:
    """By kind of tokens and unit price: the view does not add up the rows of calls."""
    found = query(ledger, "select x_TokenType, x_UnitPicos, sum(PricingQuantity) from focus group by 1, 2")
    return {(kind, price): quantity for kind, price, quantity in found}


def test_every_dollar_is_there_once(ledger: Ledger) -> None:
    fill(ledger)
    rows = ledger.rows("focus")
    assert sum(row["x_BilledPicos"] for row in rows) == expected_picos(ledger)
    assert {row["x_CostSource"] for row in rows} == {
        *("computed", "reported", "tool_price", "allocated", "unallocated"),
    }
    for row in rows:
        assert row["BilledCost"] == row["ListCost"] == row["ContractedCost"] == nearest_double(row["x_BilledPicos"])
        assert row["EffectiveCost"] == (0 if row["ChargeCategory"] == "Purchase" else row["BilledCost"])


def test_every_agent_and_day_has_the_same_sum_as_in_the_cube(ledger: Ledger) -> None:
    fill(ledger)
    axes = "substr(ChargePeriodStart, 1, 10), x_AgentId, x_Team, x_Feature, x_CustomerId"
    ours = query(ledger, f"select {axes}, sum(x_BilledPicos) from focus group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5")
    cube = query(
        ledger,
        "select day, agent_id, team, feature, customer_id, (coalesce(llm_4096ths, 0) + coalesce(tool_4096ths, 0))"
        " * 244140625 + coalesce(llm_picos, 0) + coalesce(tool_picos, 0) as picos from daily_all_in"
        " where llm_4096ths is not null or tool_4096ths is not null order by 1, 2, 3, 4, 5",
    )
    assert ours == cube


def test_quantity_times_unit_price_is_the_cost_to_the_pico_dollar(ledger: Ledger) -> None:
    fill(ledger)
    for row in ledger.rows("focus"):
        if row["ChargeCategory"] not in ("Usage", "Purchase"):
            assert (row["PricingQuantity"], row["PricingUnit"], row["x_UnitPicos"]) == (None, None, None)
        elif row["PricingUnit"] == "USD":
            assert (row["ListUnitPrice"], row["PricingQuantity"]) == (1, row["BilledCost"])
        else:
            assert int(row["PricingQuantity"]) * row["x_UnitPicos"] == row["x_BilledPicos"]


def test_tokens_are_those_of_the_calls_by_kind(ledger: Ledger) -> None:
    add_prices(ledger, price(input=10, output=20, cache_read=1, cache_write=2, cache_write_1h=3, reasoning=50))
    parts = {"cache_read_tokens": 30, "cache_write_tokens": 20, "cache_write_1h_tokens": 5, "reasoning_tokens": 4}
    ledger.record_calls([call(request_id="1", **parts), call(request_id="2", **parts)])
    assert quantities(ledger) == {
        ("input", 10): 100,
        ("cache_read", 1): 60,
        ("cache_write", 2): 30,
        ("cache_write_1h", 3): 10,
        ("output", 20): 12,
        ("reasoning", 50): 8,
    }


def test_a_price_that_changes_within_a_day_makes_another_row(ledger: Ledger) -> None:
    add_prices(ledger, price(input=1, output=1), price(input=2, output=1, effective_from=NOON))
    ledger.record_calls([call(request_id="1", ts="2026-01-15T11:59:59.999Z"), call(request_id="2")])
    assert quantities(ledger) == {("input", 1): 100, ("input", 2): 100, ("output", 1): 20}
    assert len({row["SkuPriceId"] for row in ledger.rows("focus")}) == 3
    assert len({row["SkuId"] for row in ledger.rows("focus")}) == 2


def test_unknown_is_not_zero_and_free_is(ledger: Ledger) -> None:
    ledger.record_calls([call(request_id="1", model="unknown"), call(request_id="2", prompt_tokens=None)])
    assert ledger.rows("focus") == []
    add_prices(ledger, price(input=0, output=0, basis="free"))
    ledger.record_call(**call(request_id="3"))
    assert [(row["PricingQuantity"], row["BilledCost"]) for row in ledger.rows("focus")] == [(100, 0), (10, 0)]


def test_other_units_are_counted_by_what_they_cost(ledger: Ledger) -> None:
    add_prices(ledger, price(input=1, output=1, units={"pages": 500_000_000_000}))
    ledger.record_call(**call(usage={"pages": 3, "images": 1}))
    [row] = [row for row in ledger.rows("focus") if row["x_TokenType"] == "units"]
    columns = ("PricingQuantity", "PricingUnit", "ConsumedQuantity", "ConsumedUnit", "BilledCost")
    assert [row[name] for name in columns] == [1.5, "USD", 1.5, "USD", 1.5]


def test_an_allocated_line_says_how_it_was_split(ledger: Ledger) -> None:
    fill(ledger)
    split = [row for row in ledger.rows("focus") if row["x_ChargeId"] == "split"]
    assert [(row["x_AgentId"], row["x_AuditCalls"], row["AllocatedMethodId"]) for row in split] == [
        ("a", 2, "weighted"),
        ("b", 1, "weighted"),
    ]
    assert sum(row["x_BilledPicos"] for row in split) == 10**12
    assert sum(row["ConsumedQuantity"] for row in split) == pytest.approx(3)
    assert all("AllocatedRatio" in row["AllocatedMethodDetails"] for row in split)
    assert {row["BillingAccountId"] for row in split} == {"2"}


def test_a_bill_that_came_after_the_allocation_is_there_once_too(ledger: Ledger) -> None:
    fill(ledger)
    with raw(ledger) as connection:
        add_charge(connection, add_delivery(connection, "later", bill="aws 2"), "1", "7", resource_id="shared")
    assert sum(row["x_BilledPicos"] for row in ledger.rows("focus")) == expected_picos(ledger)


def test_a_charge_without_exchange_rate_has_no_row(ledger: Ledger) -> None:
    with raw(ledger) as connection:
        add_charge(connection, add_delivery(connection), "1", "7", currency="GBP")
    assert ledger.rows("focus") == []
