"""One agent, team, feature, customer or model: its curve, what it spent on, and its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

from datasette import Response

from datasette_agent_ledger import drawing, links, picking
from datasette_agent_ledger.figures import Behind, Record
from datasette_agent_ledger.page import Page, Question
from datasette_agent_ledger.pages.overview import grained, pickers

_LARGE = 1_000_000  # calls; from here on what crosses customers is asked for some days only
_RECENT = {"team": 2, "feature": 2}  # days; whose agents are looked up row by row
_RECENT_DAYS = 7
_SHOWN = 20
_UTC_ONLY = "Of a customer, days are those of UTC, because sums by customer are kept by UTC day."


async def key(page: Page, axis: str, name: str) -> Response:
    """What one key of an axis spent in a period, how, and on what."""
    known = (await page.figures(Question("when")))["when"].first
    period = picking.period(page.request.args, known.get("last_ts"))
    calls = await page.calls_href(axis, name)
    figures = await page.figures(*_questions(page, axis, name, period, known, calls))
    return await page.render(
        "key.html",
        {
            "title": name,
            "axis": axis,
            "column": links.AXES[axis],
            "key": name,
            "period": period,
            "figures": figures,
            "others": [other for other in _others(axis) if other in figures],
            "spend": drawing.curve_per_day(
                figures["by_day"],
                period.days(),
                lambda day: calls(period.of_day(day)),
                title=f"LLM spend per day of {name}",
                summary=period.title,
                budgets=figures["budget"].records if "budget" in figures else [],
                events=figures["events"].records if "events" in figures else [],
            ),
            "shown": _SHOWN,
            "pickers": pickers(None, period, known),
            "action": links.of(page.datasette, page.database, axis, name),
            "note": _UTC_ONLY if axis == "customer" and period.zone.key != "UTC" else None,
        },
    )


def _others(axis: str) -> Iterable[str]:
    return (other for other in ("agent", "model", "feature", "customer", "team") if other != axis)


def _questions(
    page: Page, axis: str, name: str, period: picking.Period, known: Record, calls: Callable[..., str | None]
) -> Iterable[Question]:
    daily, summed = ({**bounds, "key": name, "scope": axis} for bounds in grained(period, axis))

    def keyed(other: str) -> Behind:
        def behind(record: Record, _: str) -> str | None:
            value = record[other]
            if not isinstance(value, str) or value in links.REST:
                return None
            return links.of(page.datasette, page.database, other, value, **period.query())

        return behind

    def counted(_record: Record, column: str) -> str | None:
        if column not in ("cost_usd", "calls", "prompt_tokens", "completion_tokens", "unpriced_calls"):
            return None
        unpriced = {"cost_usd__isnull": "1"} if column == "unpriced_calls" else {}
        return calls(period.bounds(), **unpriced)

    yield Question("key_totals", summed, axis=axis, called="totals", behind=counted)
    yield Question("key_by_day", daily, axis=axis, called="by_day")
    for other in _others(axis):
        if "customer" in (axis, other):
            crossing = daily | {"recent_since": _recent(axis, daily, period, known)}
            yield Question("key_and_customers", crossing, axis=axis, other=other, called=other, behind=keyed(other))
        else:
            yield Question("key_by_other", summed, axis=axis, other=other, called=other, behind=keyed(other))
    if axis != "model":  # a tool call has none
        yield Question("key_tool_totals", summed, axis=axis, called="tool_totals")
        yield Question("key_tools", summed, axis=axis, called="tools")
    if axis == "agent":
        yield Question("key_assignment", summed, axis=axis, called="assignment")
    if page.ledger.has("budget_status"):
        yield Question("key_budget", summed, axis=axis, called="budget")
        yield Question("key_events", summed, axis=axis, called="events")
    yield Question("key_latest", daily, axis=axis, called="latest")
    yield Question("key_dearest", daily, axis=axis, called="dearest")


def _recent(axis: str, daily: dict[str, str], period: picking.Period, known: Record) -> str:
    if (known.get("summed_calls") or 0) <= _LARGE:
        return daily["since"]
    days = timedelta(days=_RECENT.get(axis, _RECENT_DAYS) - 1)
    return max(daily["since"], (period.last - days).isoformat())
