"""The overview: what was spent, by whom, day by day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from datasette import Response

from datasette_agent_ledger import drawing, links, picking
from datasette_agent_ledger.figures import Behind, Record
from datasette_agent_ledger.page import Page, Question

_TOP = 15
_UTC_ONLY = "By customer, days are those of UTC, because sums by customer are kept by UTC day."


async def overview(page: Page) -> Response:
    """What a period cost in all, per day and by the chosen axis."""
    given = page.request.args
    known = (await page.figures(Question("when")))["when"].first
    by = given.get("by") or "agent"
    if by not in links.AXES:
        raise picking.NotUnderstood(f"by: {by!r} is none: give one of {', '.join(links.AXES)}")
    all_in = given.get("cost") == "all" and by != "model"
    period = picking.period(given, known.get("last_ts"))
    query = period.query() | {"by": None if by == "agent" else by, "cost": "all" if all_in else None}

    daily, summed = grained(period, by)

    def behind(record: Record, _: str) -> str | None:
        """A key's row leads to the page of the key, for the same time."""
        value = record.get(by)
        if not isinstance(value, str) or value in links.REST:
            return None
        return links.of(page.datasette, page.database, by, value, **period.query())

    wholes = _wholes_behind(page, period, query, await page.calls_href("agent", None))
    kind = "all_in_" if all_in else ""
    figures = await page.figures(
        Question("totals", period.sums(), behind=wholes),
        Question("all_in_totals", period.sums(), behind=wholes),
        Question("forecast", period.bounds()),
        Question("billed"),
        Question(f"{kind}by_day", daily, axis=by, behind=behind, called="by_day"),
        Question(f"{kind}by_key", summed, axis=by, behind=behind, called="by_key"),
        *([Question("budget_use", axis=by, behind=behind)] if page.ledger.has("budget_status") else []),
    )
    return await page.render(
        "overview.html",
        {
            "title": page.database,
            "by": by,
            "all_in": all_in,
            "period": period,
            "figures": figures,
            "spend": drawing.spend_per_day(
                figures["by_day"],
                by,
                period.days(),
                await _rows_behind(page, by, period),
                await _rows_behind(page, by, period, cost_usd__isnull="1"),
                title=f"{'Spend' if all_in else 'LLM spend'} per day by {by}",
                summary=period.title,
            ),
            "top": _TOP,
            "pickers": pickers((by, all_in), period, known),
            "query": query,
            "note": _note(by, period, running=bool(figures["forecast"].records)),
        },
    )


def _note(by: str, period: picking.Period, *, running: bool) -> str:
    """What to know when reading the page; "": nothing."""
    zone = [_UTC_ONLY] if by == "customer" and period.zone.key != "UTC" else []
    before = period.title_before
    told = [f"{period.title} is not over; the amounts before and the changes are those of all of {before}."]
    return " ".join([*zone, *(told if running and picking.is_month(period.choice) else [])])


def grained(period: picking.Period, by: str) -> tuple[dict[str, str], dict[str, str]]:
    """The parameters of a period, by day and as a whole; sums by customer are others."""
    if by != "customer":
        return period.bounds(), period.sums()
    daily, summed = period.of_utc().bounds(), period.of_utc().sums()
    return daily | {"grain": daily["customer_grain"]}, summed | {"grain": summed["customer_grain"]}


def _wholes_behind(
    page: Page, period: picking.Period, query: dict[str, str | None], calls: Callable[..., str | None]
) -> Behind:
    """What lies behind the sums of the whole period."""
    database, charges = page.database, "unallocated_charge"
    bounds = period.bounds()
    found = {
        "cost_usd": calls(bounds),
        "calls": calls(bounds),
        "unpriced_calls": links.page(page.datasette, database, "quality"),
        "unpriced_share": links.page(page.datasette, database, "quality"),
        "before_usd": links.home(page.datasette, database, **(query | period.earlier().query())),
        "unattributed_usd": links.of(page.datasette, database, "team", links.UNATTRIBUTED, **period.query()),
        "unattributed_share": links.of(page.datasette, database, "team", links.UNATTRIBUTED, **period.query()),
        "all_in_usd": links.home(page.datasette, database, **(query | {"cost": "all"})),
        "unallocated_usd": links.rows(
            page.datasette, database, charges, period_start__gte=bounds["since"], period_start__lt=bounds["until"]
        ),
    }
    return lambda _, column: found.get(column)


async def _rows_behind(page: Page, by: str, period: picking.Period, **filters: str) -> drawing.Behind:
    """Links to the calls of a day, none where the viewer may not see calls; without a day to the page of a key."""
    visible = page.of_team is None and await page.may_view("call_cost")

    def behind(day: str | None, key: str | None) -> str | None:
        if page.of_team is not None or key in links.REST:
            return None
        if day is None:
            return None if key is None else links.of(page.datasette, page.database, by, key, **period.query())
        within = period.of_day(day)
        return links.calls(page.datasette, page.database, by, key, within, **filters) if visible else None

    return behind


def pickers(chosen: tuple[str, bool] | None, period: picking.Period, known: Record) -> dict[str, Any]:
    """The fields of the form, each with its choices as (value, label), and what is chosen.

    `chosen`: the axis, and whether all in; None: the page has no such choice.
    """
    months = picking.months(known.get("first_ts"), known.get("last_ts"))
    if picking.is_month(period.choice) and period.choice not in months:
        months = [period.choice, *months]
    found: dict[str, Any] = {
        "period": {
            "chosen": period.choice,
            "choices": [
                *((month, picking.month_title(month)) for month in months),
                *((choice, f"Last {days} days") for choice, days in picking.LATEST.items()),
                ("custom", "Custom dates"),
            ],
        },
        "since": {"chosen": period.first.isoformat()},
        "until": {"chosen": period.last.isoformat()},
        "tz": {"chosen": period.zone.key, "choices": picking.zones()},
    }
    if chosen is not None:
        by, all_in = chosen
        found["by"] = {"chosen": by, "choices": [(axis, axis.capitalize()) for axis in links.AXES]}
        found["cost"] = {"chosen": "all" if all_in else "llm", "choices": [("llm", "LLM calls"), ("all", "All-in")]}
    return found
