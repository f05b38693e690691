"""The pages that are one table after another: budgets, reconciliation, prices and quality."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from datasette import Response

from datasette_agent_ledger import links, picking
from datasette_agent_ledger.figures import Record
from datasette_agent_ledger.page import Page, Question

_NO_BUDGETS = (
    "This ledger has no budgets. agent-ledger budget LEDGER set makes one, and upgrades the file where it is older."
)


async def budgets(page: Page) -> Response:
    """Which budgets are in danger, and what the control loop did."""
    if not page.ledger.has("budget_status"):
        return await page.render("sections.html", {"title": "Budgets", "figures": [], "message": _NO_BUDGETS})

    def keyed(record: Record, column: str) -> str | None:
        if column not in ("key", "spent_usd") or record.get("scope") not in links.AXES:
            return None
        return links.of(page.datasette, page.database, record["scope"], record["key"])

    figures = await page.figures(
        *(
            Question(f"budgets_{part}", behind=keyed if part != "exceptions" else None)
            for part in ("status", "directives", "exceptions", "events")
        )
    )
    message = None if figures["budgets_status"].rows else _NO_BUDGETS
    return await page.render(
        "sections.html", {"title": "Budgets", "figures": list(figures.values()), "message": message}
    )


async def reconciliation(page: Page) -> Response:
    """The ledger against the invoices, the closed months, and what changed since."""
    known = (await page.figures(Question("when")))["when"].first
    months = picking.months(known.get("first_ts"), known.get("last_ts"))
    month = page.request.args.get("month") or (months[1] if len(months) > 1 else months[0] if months else "")
    if month and not picking.is_month(month):
        raise picking.NotUnderstood(f"month: {month!r} is none: give one such as 2026-10")

    def invoice(record: Record, column: str) -> str | None:
        if column in ("month", "invoiced_usd"):
            return f"{links.page(page.datasette, page.database, 'reconciliation')}?month={record['month']}"
        if column in ("ledger_usd", "calls"):
            return links.home(page.datasette, page.database, period=record["month"])
        if column == "difference_usd":
            return links.rows(
                page.datasette, page.database, "reconciliation_by_model",
                month=record["month"], provider__exact=record["provider"],
            )  # fmt: skip
        return None

    def restated(record: Record, column: str) -> str | None:
        if column in ("key", "restated_usd") and record["axis"] in links.AXES and record["key"] not in links.REST:
            return links.of(page.datasette, page.database, record["axis"], record["key"], period=record["month"])
        return None

    here = links.page(page.datasette, page.database, "reconciliation")
    changes = bool(page.request.args.get("changes"))
    figures = await page.figures(
        Question("reconciliation_months", behind=invoice),
        Question("invoiced_agents", {"month": month}),
        Question("closed_months", behind=lambda _, column: f"{here}?changes=1" if column == "month" else None),
        *([Question("restated", behind=restated)] if changes else []),
    )
    return await page.render(
        "sections.html",
        {
            "title": "Reconciliation",
            "figures": list(figures.values()),
            "subtitles": {"invoiced_agents": picking.month_title(month) if month else ""},
            "more": None if changes else (f"{here}?changes=1", "What has changed since months were closed, and why?"),
        },
    )


async def prices(page: Page) -> Response:
    """What was in force when, what it did to cost, and where sources disagree."""
    figures = await page.figures(
        Question("prices_in_force"), Question("price_effect"), Question("price_sources"), Question("price_rows")
    )
    return await page.render("sections.html", {"title": "Prices", "figures": list(figures.values())})


async def quality(page: Page) -> Response:
    """What is missing from the figures, and what to do about it."""

    def counted(table: str) -> Callable[[Record, str], str | None]:
        def behind(record: Record, column: str) -> str | None:
            if column not in ("calls", "charges", "cost_usd"):
                return page.behind(record, column)
            named = {name: record[name] for name in ("model", "provider", "reason", "service") if record.get(name)}
            filters = {f"{name}__exact": value for name, value in named.items() if value != links.UNATTRIBUTED}
            if table == "call_cost":
                filters = {name: value for name, value in filters.items() if name != "reason__exact"}
                filters["cost_usd__isnull"] = "1"
            return links.rows(page.datasette, page.database, table, **filters)

        return behind

    figures = await page.figures(
        Question("quality_coverage"),
        Question("quality_unpriced", behind=counted("call_cost")),
        Question("quality_unallocated", behind=counted("unallocated_charge")),
        Question("quality_orphans"),
        Question("quality_conflicts"),
        Question("quality_anomalies"),
    )
    return await page.render(
        "sections.html",
        {"title": "Quality", "figures": list(figures.values()), "message": _spooled(page.ledger.db.path)},
    )


def _spooled(path: str | None) -> str:
    """Rows that could not be written wait in files beside the ledger."""
    if path is None:
        return ""
    ledger = Path(path)
    found = sum(1 for one in ledger.parent.iterdir() if one.name.startswith(f"{ledger.name}.spool-"))
    if not found:
        return "No rows wait in spool files."
    return f"{found} spool file(s) beside the ledger hold rows that could not be written: run agent-ledger replay."
