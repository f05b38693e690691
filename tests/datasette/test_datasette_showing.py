"""How values and figures are shown: as text that can't be misread, and as charts that hold what the rows say."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("datasette", reason="the extra datasette is not installed")

from datasette_agent_ledger import drawing, showing
from datasette_agent_ledger.figures import Figure, answered
from datasette_agent_ledger.statements import statement

DAYS = ["2026-10-01", "2026-10-02", "2026-10-03"]


def by_day(*rows: tuple[Any, ...]) -> Figure:
    names = ["day", "agent", "cost_usd", "day_usd", "agent_usd", "unpriced_calls"]
    return answered(statement("by_day").by("agent"), {}, names, list(rows), lambda _record, _column: None)


def drawn(figure: Figure) -> str:
    return str(
        drawing.spend_per_day(
            figure, "agent", DAYS, lambda day, key: f"/{day}/{key}", lambda day, _: f"/unpriced/{day}", title="Spend"
        )
    )


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("cost_usd", None, "–"),
        ("cost_usd", 0.0, "0.00"),
        ("cost_usd", -1234.5, "−1,234.50"),
        ("cost_usd", 1e-9, "0.000000001"),
        ("ts", "2026-10-20T09:14:07.120Z", "2026-10-20 09:14:07"),
        ("billed_through", "2026-11-19T00:00:00.000Z", "2026-11-19"),
        ("valid_from", "0001-01-01T00:00:00.000Z", "always"),
        ("valid_to", "9999-12-31T23:59:59.999Z", "open"),
        ("first_ts", "no time", "no time"),
        ("calls", 12345, "12,345"),
        ("used_share", 0.125, "12.5%"),
        ("agent_id", "a\u202eb", "a�b"),
    ],
)
def test_a_value_as_text(column: str, value: Any, expected: str) -> None:
    assert showing.text(column, value) == expected


def test_long_text_is_shortened() -> None:
    assert len(showing.text("agent_id", "x" * 10_000)) == 160


def test_the_chart_of_days_has_each_amount_its_links_and_what_is_not_priced() -> None:
    markup = drawn(
        by_day(
            ("2026-10-01", "a", 3.0, 5.0, 3.0, 0),
            ("2026-10-01", None, 2.0, 5.0, 2.0, 0),
            ("2026-10-03", "b", None, None, None, 4),
        )
    )
    for href in ("/2026-10-01/a", "/2026-10-01/None", "/None/a", "/None/b", "/unpriced/2026-10-03"):
        assert f'href="{href}"' in markup
    assert "cost unknown for 4 calls" in markup
    assert "(other)" in markup
    assert markup.index("2026-10-02</bdi>") < markup.index("2026-10-03</bdi>"), "a day without calls has its place"


def test_the_curve_ends_with_the_last_day_that_has_calls_and_breaks_where_no_call_has_a_price() -> None:
    figure = answered(
        statement("key_by_day").by("agent"), {}, ["day", "cost_usd"], [("2026-10-01", 1.0), ("2026-10-02", None)],
        lambda _record, _column: None,
    )  # fmt: skip
    markup = str(
        drawing.curve_per_day(
            figure, DAYS, lambda day: f"/{day}", title="Spend",
            budgets=[{"period": "day", "limit_usd": 5.0, "budget": "daily"}, {"period": "month", "limit_usd": 9.0}],
            events=[{"phase": "act", "ts": "2026-10-02T08:00:00.000Z", "verdict": "throttled"}],
        )
    )  # fmt: skip
    assert "2 Oct 2026: not priced" in markup
    assert 'href="/2026-10-03"' not in markup
    assert "Budget daily: $5.00" in markup
    assert "2026-10-02 08:00:00: throttled" in markup


def test_a_figure_with_a_problem_is_no_chart() -> None:
    figure = Figure(statement("by_day").by("agent"), {}, [], [], [], problem="You may not see this.")
    assert drawing.spend_per_day(figure, "agent", DAYS, lambda *_: None, lambda *_: None, title="Spend") is None
    assert drawing.curve_per_day(figure, DAYS, lambda _: None, title="Spend") is None
