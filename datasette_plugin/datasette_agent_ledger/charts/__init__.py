"""Charts as SVG, made on the server: data in, `markupsafe.Markup` out. No script, no network, no inline style.

Each function is pure. It draws what it is given and adds up nothing that is shown: totals and "(other)" come from SQL.
All text is escaped and shortened here; every `href` must begin with "/", "?" or "#" (ValueError otherwise), so that no
link ever comes from data. None (or a number that is not finite) is unknown: drawn as such, never as zero. `name` is a
word that is unique on the page; ids are made from it. Colours, dark mode and print are in `agent-ledger.css`.

    stacked_bars(columns, series, cells, name="spend", title="Spend per day by agent", summary="September 2026")
        columns: [Column("2026-10-01", total=512.3, href="…", unknown=3, unknown_href="…"), …]   one per bar, in order;
                 `unknown` counts what the bar can't contain because nobody knows its cost (unpriced calls)
        series:  [Series("invoice-reconciler", total=17343.9, href="…"), …]   in order of size; at most seven and then
                 Series(OTHER, …), whose cells are summed by SQL
        cells:   [Cell("2026-10-01", "invoice-reconciler", 99.5, href="…"), …]   at most one per column and series

    curve(points, name="month", title="October so far", axis=[all days of October], limit=Line(5000, "Budget $5,000"),
          forecast=Point("2026-10-31", 4870.0), events=[Event("2026-10-12T08:00:00Z", "throttled", href="…")])
        points:  [Point("2026-10-01", 99.5, href="…"), …]   None breaks the curve; `axis` may reach further

    bar(value, largest, smallest=0.0)      one bar for a cell of your own table, beside the number
    meter(share, forecast=None, label="")  how much of a budget is used; beyond 100 % it says so by its form

The two charts bring their data as a table in `<details>`.
"""

from __future__ import annotations

from datasette_agent_ledger.charts.bars import bar, meter
from datasette_agent_ledger.charts.curve import Event, Line, Point, curve
from datasette_agent_ledger.charts.stacked import OTHER, Cell, Column, Series, stacked_bars

__all__ = [
    "OTHER",
    "Cell",
    "Column",
    "Event",
    "Line",
    "Point",
    "Series",
    "bar",
    "curve",
    "meter",
    "stacked_bars",
]
