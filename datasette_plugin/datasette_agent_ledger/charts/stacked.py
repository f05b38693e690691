"""Stacked bars: one per day, one segment per key; credits hang below zero, unknown cost is a cap of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from datasette_agent_ledger.charts import frame, labels
from datasette_agent_ledger.charts.amounts import UNKNOWN, count, known, usd
from datasette_agent_ledger.charts.scale import Scale, scale

OTHER = "(other)"

_HEIGHT, _TOP, _BOTTOM, _CAP, _GAP = 260, 22.0, 232.0, 5.0, 2.0


@dataclass(frozen=True)
class Column:
    """A place on the axis. `total` is what the table shows (USD); None: unknown."""

    x: str
    total: float | None = None
    href: str | None = None
    unknown: int = 0
    unknown_href: str | None = None


@dataclass(frozen=True)
class Series:
    """A key, with its sum over all columns in USD; None: unknown."""

    key: str
    total: float | None = None
    href: str | None = None


@dataclass(frozen=True)
class Cell:
    """The amount of one key in one column in USD; None: unknown."""

    x: str
    key: str
    value: float | None
    href: str | None = None


@dataclass(frozen=True)
class Segment:
    """A piece of a bar: per cent along x, pixels along y. `cell` is None for the cap that stands for unknown cost."""

    x: float
    y: float
    width: float
    height: float
    fill: int
    cell: Cell | None
    column: Column


def stacked_bars(
    columns: Sequence[Column],
    series: Sequence[Series],
    cells: Iterable[Cell],
    *,
    name: str,
    title: str,
    summary: str = "",
) -> Markup:
    """Bars of `columns` made of `cells`, the first of `series` at the bottom. See the package for an example."""
    if not columns or not series:
        return frame.empty(name, title, summary)
    by_place = {(cell.x, cell.key): cell for cell in cells}
    axis, segments = layout(columns, series, by_place)
    ground = Markup("").join(
        [
            frame.patterns(name, (segment.fill for segment in segments if segment.cell)),
            frame.y_axis(axis),
            frame.x_axis([column.x for column in columns], _HEIGHT - 10),
        ]
    )
    marks = Markup("").join(_drawn(name, segment) for segment in segments)
    described = _description(columns, series, summary)
    return frame.figure(
        name,
        title,
        summary,
        Markup('<div class="al-plot">{}{}</div>').format(
            frame.drawing(name, title, described, _HEIGHT, ground, marks, "al-stacked"),
            _legend(name, columns, series, any(segment.cell is None for segment in segments)),
        ),
        _table(title, columns, series, by_place),
    )


def layout(
    columns: Sequence[Column], series: Sequence[Series], cells: Mapping[tuple[str, str], Cell]
) -> tuple[Scale, list[Segment]]:
    """The scale, and where each piece of each bar lies."""
    sums = []
    for column in columns:
        values = [c.value for one in series if (c := cells.get((column.x, one.key))) and known(c.value)]
        sums += [sum(value for value in values if value > 0), sum(value for value in values if value < 0)]
    axis = scale(sums, _TOP, _BOTTOM)
    segments = []
    for index, column in enumerate(columns):
        segments += _bar(column, index, len(columns), series, cells, axis)
    return axis, segments


def fill_of(index: int, series: Sequence[Series]) -> int:
    """The fill of a series: the last one for OTHER, else by its place."""
    return frame.FILLS - 1 if series[index].key == OTHER else index % (frame.FILLS - 1)


def _bar(
    column: Column,
    index: int,
    total: int,
    series: Sequence[Series],
    cells: Mapping[tuple[str, str], Cell],
    axis: Scale,
) -> list[Segment]:
    slot = 100 / total
    width = min(slot * 0.78, 12.0)
    x = frame.middle(index, total) - width / 2
    above = below = 0.0
    unknown, segments = column.unknown, []
    for place, one in enumerate(series):
        cell = cells.get((column.x, one.key))
        if cell is None:
            continue
        if not known(cell.value):
            unknown = unknown or 1
            continue
        start = above if cell.value >= 0 else below
        end = start + cell.value
        above, below = max(above, end), min(below, end)
        top, bottom = axis.y(max(start, end)), axis.y(min(start, end))
        if bottom > top:
            segments.append(Segment(x, top, width, bottom - top, fill_of(place, series), cell, column))
    if unknown:
        segments.append(Segment(x, axis.y(above) - _CAP - _GAP, width, _CAP, 0, None, column))
    return segments


def _drawn(name: str, segment: Segment) -> Markup:
    column = segment.column
    if segment.cell is None:
        words = f"{labels.day(column.x)}: cost unknown" + (
            f" for {count(column.unknown)} calls" if column.unknown else ""
        )
        fill, href = Markup('class="al-unknown"'), column.unknown_href
    else:
        key = labels.isolated(labels.shorten(segment.cell.key, 80))
        words = f"{labels.day(column.x)}, {key}: {usd(segment.cell.value)}"
        fill, href = Markup('fill="url(#{})"').format(frame.pattern_id(name, segment.fill)), segment.cell.href
    mark = Markup('<rect x="{}%" y="{}" width="{}%" height="{}" {}><title>{}</title></rect>').format(
        frame.number(segment.x), frame.number(segment.y), frame.number(segment.width), frame.number(segment.height),
        fill, words,
    )  # fmt: skip
    return frame.link(href, mark)


def _legend(name: str, columns: Sequence[Column], series: Sequence[Series], capped: bool) -> Markup:
    """Who is who, the largest first, with the amounts: the direct labels of the stack."""
    lines = [
        Markup(
            '<li><svg class="al-swatch" width="12" height="12" aria-hidden="true"><rect width="12" height="12" '
            'fill="url(#{})"/></svg> {} <span class="al-figure">{}</span></li>'
        ).format(frame.pattern_id(name, fill_of(index, series)), frame.anchor(one.href, one.key, 30), usd(one.total))
        for index, one in enumerate(series)
    ]
    if capped:
        calls = sum(column.unknown for column in columns)
        lines.append(
            Markup(
                '<li><svg class="al-swatch" width="12" height="12" aria-hidden="true"><rect x="0.5" y="3.5" width="11" '
                'height="5" class="al-unknown"/></svg> not priced <span class="al-figure">{}</span></li>'
            ).format(f"{count(calls)} calls" if calls else UNKNOWN)
        )
    return Markup('<ul class="al-legend">{}</ul>').format(Markup("").join(lines))


def _description(columns: Sequence[Column], series: Sequence[Series], summary: str) -> str:
    reach = f"{labels.day(columns[0].x)} to {labels.day(columns[-1].x)}"
    largest = ", ".join(f"{labels.isolated(labels.shorten(one.key))} {usd(one.total)}" for one in series[:3])
    return (
        f"{summary + '. ' if summary else ''}{len(columns)} bars, {reach}. Largest: {largest}. The table below has all."
    )


def _table(
    title: str, columns: Sequence[Column], series: Sequence[Series], cells: Mapping[tuple[str, str], Cell]
) -> Markup:
    with_unknown = any(column.unknown for column in columns)
    headings: list[Markup | str] = ["Day", *(frame.anchor(one.href, one.key, 24) for one in series), "Total"]
    rows: list[list[Markup | str]] = []
    for column in columns:
        line: list[Markup | str] = [frame.anchor(column.href, column.x)]
        for one in series:
            cell = cells.get((column.x, one.key))
            line.append("" if cell is None else usd(cell.value))
        line.append(usd(column.total))
        if with_unknown:
            line.append(frame.anchor(column.unknown_href, count(column.unknown)) if column.unknown else "")
        rows.append(line)
    return frame.table(title, [*headings, "Calls not priced"] if with_unknown else headings, rows)
