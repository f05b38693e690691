"""Which figure becomes which chart. A figure that has a problem becomes none: where its table would be stands why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from datasette_agent_ledger import charts
from datasette_agent_ledger.charts.amounts import usd
from datasette_agent_ledger.figures import Figure, Record

Behind = Callable[[str | None, str | None], str | None]
"""The link to what lies behind a day (None: all of them) and a key (None: all of them)."""


def spend_per_day(
    figure: Figure, axis: str, days: Sequence[str], behind: Behind, unpriced: Behind, *, title: str, summary: str = ""
) -> Markup | None:
    """Stacked bars of by_day or all_in_by_day. `days` are all of the period, also those without calls."""
    if figure.problem:
        return None
    amount = next(column.name for column in figure.columns if column.kind == "money")
    whole = {record["day"]: record for record in figure.records}
    columns = [
        charts.Column(
            day,
            total=whole[day]["day_usd"] if day in whole else 0.0,
            href=behind(day, None),
            unknown=whole[day]["unpriced_calls"] if day in whole else 0,
            unknown_href=unpriced(day, None),
        )
        for day in days
    ]
    totals = {record[axis]: record[f"{axis}_usd"] for record in figure.records}
    keys = sorted((key for key in totals if key is not None), key=lambda key: -(totals[key] or 0.0))
    series = [charts.Series(key, totals[key], behind(None, key)) for key in keys]
    if None in totals:
        series.append(charts.Series(charts.OTHER, totals[None]))
    cells = [
        charts.Cell(
            record["day"],
            charts.OTHER if record[axis] is None else record[axis],
            record[amount],
            behind(record["day"], record[axis]),
        )
        for record in figure.records
    ]
    return charts.stacked_bars(columns, series, cells, name="spend", title=title, summary=summary)


def curve_per_day(
    figure: Figure,
    days: Sequence[str],
    behind: Callable[[str], str | None],
    *,
    title: str,
    summary: str = "",
    budgets: Sequence[Record] = (),
    events: Sequence[Record] = (),
) -> Markup | None:
    """The curve of key_by_day, with the key's budget per day, where it has one, and what the control loop did."""
    if figure.problem:
        return None
    spent = {record["day"]: record["cost_usd"] for record in figure.records}
    last = max(spent, default="")
    points = [charts.Point(day, spent.get(day, 0.0), behind(day)) for day in days if day <= last]
    limits = [one for one in budgets if one["period"] == "day" and one["limit_usd"] is not None]
    limit = (
        charts.Line(limits[0]["limit_usd"], f"Budget {limits[0]['budget']}: {usd(limits[0]['limit_usd'])}")
        if limits
        else None
    )
    done = [
        charts.Event(one["ts"], one["verdict"]) for one in events if one["phase"] == "act" and one["ts"][:10] in days
    ]
    return charts.curve(points, name="spend", title=title, summary=summary, axis=days, limit=limit, events=done)
