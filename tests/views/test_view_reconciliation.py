from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from invoiced import bill, priced, report, used
from support import nearest_double, query, temporary_ledger

from agent_ledger import Ledger

RESIDUALS = (
    "unrecorded_usage_usd",
    "unpriced_models_usd",
    "price_difference_usd",
    "discounts_credits_usd",
    "timing_usd",
    "rounding_usd",
    "other_usd",
)


def reconciled(ledger: Ledger) -> dict[str, Any]:
    """The one row, without what is 0 or not known."""
    [row] = ledger.rows("reconciliation")
    check_sum(row)
    return {name: value for name, value in row.items() if value and name.endswith("_usd")}


def check_sum(row: dict[str, Any]) -> None:
    if row["difference_usd"] is not None:
        assert sum(row[name] or 0 for name in RESIDUALS) == pytest.approx(row["difference_usd"], abs=1e-9)


def test_an_empty_ledger(ledger: Ledger) -> None:
    assert ledger.rows("reconciliation") == []


@pytest.fixture
def book(ledger: Ledger, no_sources: None) -> Ledger:  # noqa: ARG001
    """Model m at $10 per million tokens, and n at $1."""
    priced(ledger, m=10, n=1)
    return ledger


def test_no_bill_is_not_a_bill_of_zero(book: Ledger) -> None:
    used(book)
    [row] = book.rows("reconciliation")
    assert (row["ledger_usd"], row["calls"]) == (10.0, 1)
    assert {row[name] for name in ("invoiced_usd", "difference_usd", "explained_share", *RESIDUALS)} == {None}


def test_a_bill_without_calls(book: Ledger) -> None:
    bill(book, {"cost": "3", "model": "z"}, {"cost": "2"})
    [row] = book.rows("reconciliation")
    assert (row["calls"], row["ledger_usd"], row["invoiced_usd"], row["difference_usd"]) == (0, 0.0, 5.0, 5.0)
    assert (row["unrecorded_usage_usd"], row["other_usd"], row["explained_share"]) == (3.0, 2.0, 0.6)


def test_they_agree(book: Ledger) -> None:
    used(book)
    bill(book, {"cost": "10", "model": "m", "token_type": "input", "quantity": "1", "unit": "1M tokens"})
    [row] = book.rows("reconciliation")
    assert row == {
        "provider": "p", "month": "2026-01", "calls": 1, "unpriced_calls": 0, "ledger_usd": 10.0, "invoiced_usd": 10.0,
        "unconverted_lines": 0, "difference_usd": 0.0, "unrecorded_usage_usd": 0.0, "unpriced_models_usd": 0.0,
        "price_difference_usd": 0.0, "discounts_credits_usd": 0.0, "timing_usd": 0.0, "rounding_usd": 0.0,
        "other_usd": 0.0, "explained_share": 1.0,
    }  # fmt: skip


def test_unrecorded_usage_by_the_report(book: Ledger) -> None:
    used(book, millions=2)
    report(book, {"m": 3_000_000})
    bill(book, {"cost": "30"})  # no model named
    assert reconciled(book) == {
        "ledger_usd": 20.0, "invoiced_usd": 30.0, "difference_usd": 10.0, "unrecorded_usage_usd": 10.0
    }  # fmt: skip


def test_unrecorded_usage_by_a_report_without_models(book: Ledger) -> None:
    used(book, millions=1)
    used(book, "n", millions=1)
    report(book, {None: 4_000_000})
    bill(book, {"cost": "22"})
    assert reconciled(book)["unrecorded_usage_usd"] == 11.0  # 2 million tokens at 5.50 on the average


def test_the_ledger_may_have_more(book: Ledger) -> None:
    used(book, millions=3)
    report(book, {"m": 1_000_000})
    bill(book, {"cost": "10", "model": "m"})
    assert reconciled(book)["unrecorded_usage_usd"] == -20.0


def test_a_model_that_the_ledger_never_saw_is_unrecorded(book: Ledger) -> None:
    used(book)
    bill(book, {"cost": "10", "model": "m"}, {"cost": "7", "model": "z"})
    assert reconciled(book)["unrecorded_usage_usd"] == 7.0


def test_models_that_the_bill_calls_otherwise_are_not_explained(book: Ledger) -> None:
    """Bedrock's bill says Claude4.6Sonnet: is that the model of the calls? Nobody knows."""
    used(book)
    bill(book, {"cost": "12", "model": "Mm"})
    assert reconciled(book) == {"ledger_usd": 10.0, "invoiced_usd": 12.0, "difference_usd": 2.0, "other_usd": 2.0}


@pytest.mark.parametrize("name", ["M", "m-20260101", "m-2026-01-01", "m[1m]"])
def test_case_and_date_of_a_name_do_not_matter(book: Ledger, name: str) -> None:
    used(book)
    bill(book, {"cost": "10", "model": name})
    assert "other_usd" not in reconciled(book)


def test_unpriced_models(book: Ledger) -> None:
    used(book)
    used(book, "unknown")
    bill(book, {"cost": "10", "model": "m"}, {"cost": "4", "model": "unknown"})
    assert reconciled(book)["unpriced_models_usd"] == 4.0


def test_calls_without_a_price_of_a_model_that_has_one(book: Ledger) -> None:
    used(book)
    used(book, service_tier="flex")  # nobody says what that costs
    bill(book, {"cost": "20", "model": "m"})
    found = reconciled(book)
    assert (found["unpriced_models_usd"], found["ledger_usd"]) == (10.0, 10.0)
    assert "other_usd" not in found


@pytest.mark.parametrize("metered", [{"quantity": "1000", "unit": "1K tokens"}, {}])
def test_price_difference(book: Ledger, metered: dict[str, str]) -> None:
    """The tokens agree by the report, or by the quantities on the bill; without either it is not known."""
    used(book)
    bill(book, {"cost": "8", "model": "m", **metered})
    assert reconciled(book)["price_difference_usd" if metered else "other_usd"] == -2.0
    if not metered:
        report(book, {"m": 1_000_000})
        assert reconciled(book)["price_difference_usd"] == -2.0


def test_a_report_of_some_days_says_nothing_of_the_others(book: Ledger) -> None:
    used(book)
    used(book, ts="2026-01-20T00:00:00Z")
    report(book, {"m": 1_000_000})
    bill(book, {"cost": "15", "model": "m"})
    found = reconciled(book)
    assert ("unrecorded_usage_usd" in found, found["other_usd"]) == (False, -5.0)


def test_discounts_and_credits(book: Ledger) -> None:
    used(book)
    lines = [{"cost": f"-{n}", "category": name} for n, name in enumerate(("credit", "refund", "discount"), 1)]
    bill(book, {"cost": "10", "model": "m"}, *lines, {"cost": "0.5", "category": "adjustment"})
    found = reconciled(book)
    assert (found["discounts_credits_usd"], found["other_usd"], found["difference_usd"]) == (-6.0, 0.5, -5.5)


def test_timing(book: Ledger) -> None:
    used(book, ts="2026-01-09T23:59:59.999Z")
    used(book, ts="2026-01-10T00:00:00Z")
    used(book, ts="2026-01-20T00:00:00Z", model="n")
    days = {"period_start": "2026-01-10T00:00:00.000Z", "period_end": "2026-01-20T00:00:00.000Z"}
    bill(book, {"cost": "10", "model": "m", **days})
    assert reconciled(book) == {
        "ledger_usd": 21.0, "invoiced_usd": 10.0, "difference_usd": -11.0, "timing_usd": -11.0
    }  # fmt: skip


def test_a_month_between_billed_months_is_billed(book: Ledger) -> None:
    used(book, ts="2026-01-31T12:00:00Z")
    february = {"period_start": "2026-02-01T00:00:00.000Z", "period_end": "2026-03-01T00:00:00.000Z"}
    day = {"period_start": "2026-01-01T00:00:00.000Z", "period_end": "2026-01-02T00:00:00.000Z"}
    bill(book, {"cost": "1", **day}, {"cost": "1", **february})
    january, _ = book.rows("reconciliation")
    assert (january["timing_usd"], january["other_usd"]) == (0.0, -9.0)


@pytest.mark.parametrize(("cost", "residual"), [("10.005", "rounding_usd"), ("10.01", "other_usd")])
def test_rounding_is_half_of_the_last_digit_per_line(book: Ledger, cost: str, residual: str) -> None:
    used(book, prompt_tokens=1_000_450)
    bill(book, {"cost": cost[:5], "model": "m"})
    assert residual in reconciled(book)


def test_a_bill_without_models_agrees_as_a_whole(book: Ledger) -> None:
    used(book, prompt_tokens=1_000_001)
    used(book, "n", prompt_tokens=999_999)
    bill(book, {"cost": "11.00"})
    found = reconciled(book)
    assert found["rounding_usd"] == found["difference_usd"] == -0.000009


def test_the_later_delivery_counts(book: Ledger) -> None:
    used(book)
    bill(book, {"cost": "9", "model": "m"})
    bill(book, {"cost": "10", "model": "m"}, name="second")
    assert "difference_usd" not in reconciled(book)


def test_cloud_lines_are_not_compared(book: Ledger) -> None:
    used(book)
    bill(book, {"cost": "10", "model": "m"}, {"cost": "99", "kind": "cloud"})
    assert reconciled(book)["invoiced_usd"] == 10.0


def test_a_currency_without_a_rate_is_counted_and_not_added(book: Ledger) -> None:
    used(book)
    bill(book, {"cost": "10", "model": "m", "currency": "GBP"})
    [row] = book.rows("reconciliation")
    assert (row["invoiced_usd"], row["difference_usd"], row["unconverted_lines"]) == (None, None, 1)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("aws.bedrock", "aws"),
        ("vertex_ai", "google"),
        ("azure.ai.openai", "azure"),
        ("x-ai", "xai"),
        ("OpenAI", "openai"),
    ],
)
def test_who_bills(book: Ledger, ours: str, theirs: str) -> None:
    used(book, provider=ours)
    bill(book, {"cost": "10", "model": "m"}, provider=theirs)
    [row] = book.rows("reconciliation")
    assert (row["provider"], row["difference_usd"]) == (theirs, 0.0)


def test_millions_of_dollars_are_exact(book: Ledger) -> None:
    priced(book, dear=4000)
    for _ in range(12):
        used(book, "dear", millions=250)
    bill(book, *({"cost": f"{8_000_000 + n}.000000000001", "model": "dear"} for n in range(3)))
    [row] = book.rows("reconciliation")
    assert row["invoiced_usd"] == nearest_double(24_000_003 * 10**12 + 3)
    assert row["difference_usd"] == nearest_double(12_000_003 * 10**12 + 3)
    [part] = query(book, "select sum(cost_4096ths), sum(cost_picos) from reconciliation_part where part = 'invoiced'")
    assert part[0] * 244140625 + part[1] == 24_000_003 * 10**12 + 3


MODELS = st.sampled_from(["m", "n", "unknown", "z", None])
DAYS = st.integers(1, 28)
CALLS = st.tuples(st.sampled_from(["m", "n", "unknown"]), st.integers(0, 10**7), DAYS, st.sampled_from([None, "flex"]))
LINES = st.tuples(
    MODELS,
    st.decimals(-1000, 1000, places=7),
    DAYS,
    st.sampled_from(["usage", "usage", "usage", "credit", "tax", "fee"]),
    st.sampled_from([None, "1K tokens"]),
)
REPORTS = st.dictionaries(MODELS, st.integers(0, 10**7), max_size=3)


@pytest.mark.slow
@settings(max_examples=60)
@given(calls=st.lists(CALLS, max_size=6), lines=st.lists(LINES, max_size=6), reports=REPORTS, day=DAYS)
@example(calls=[], lines=[], reports={None: 1}, day=1)
def test_the_residuals_are_the_difference_to_the_pico_dollar(
    calls: list[Any], lines: list[Any], reports: dict[str | None, int], day: int
) -> None:
    with temporary_ledger() as ledger:
        priced(ledger, m=3, n=7)
        for model, tokens, at, tier in calls:
            used(ledger, model, prompt_tokens=tokens, ts=f"2026-01-{at:02}T05:00:00Z", service_tier=tier)
        spans = [
            {"period_start": f"2026-01-{at:02}T00:00:00.000Z", "period_end": f"2026-01-{at + 1:02}T00:00:00.000Z"}
            for _, _, at, _, _ in lines
        ]
        bill(ledger, *(
            {"cost": format(cost, "f"), "model": model, "category": category, "unit": unit, "quantity": "7", **span}
            for (model, cost, _, category, unit), span in zip(lines, spans, strict=True)
        ))  # fmt: skip
        report(ledger, reports, days=(day,))
        sums: dict[str, int] = {}
        for part, whole, rest in query(ledger, "select part, cost_4096ths, cost_picos from reconciliation_part"):
            sums[part] = sums.get(part, 0) + (whole or 0) * 244140625 + (rest or 0)
        invoiced, booked = sums.pop("invoiced", None), sums.pop("ledger", 0)
        sums.pop("reported_usage", None)
        [(billed,)] = query(ledger, "select coalesce(sum(cost_picos), 0) from charge")
        [(cost,)] = query(ledger, "select coalesce(sum(cost_picos), 0) from call_cost")
        assert booked == cost
        if invoiced is None:
            assert (sums, lines) == ({}, [])
        else:
            assert invoiced == billed
            assert sum(sums.values()) == invoiced - booked
        for row in ledger.rows("reconciliation"):
            check_sum(row)
            if row["difference_usd"] is not None:
                assert row["difference_usd"] == float(Fraction(billed - cost, 10**12))
                assert 0 <= row["explained_share"] <= 1
