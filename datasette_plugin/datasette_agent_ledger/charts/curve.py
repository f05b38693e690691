"""A curve over days, with what it is to stay under, what is expected of it, and what was done about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from datasette_agent_ledger.charts import frame, labels
from datasette_agent_ledger.charts.amounts import known, usd
from datasette_agent_ledger.charts.scale import Scale, scale

_HEIGHT, _TOP, _BOTTOM = 220, 30.0, 192.0


@dataclass(frozen=True)
class Point:
    """A place on the axis and its amount in USD; None: unknown."""

    x: str
    value: float | None
    href: str | None = None


@dataclass(frozen=True)
class Line:
    """An amount across the whole axis (USD), such as a budget."""

    value: float
    label: str
    href: str | None = None


@dataclass(frozen=True)
class Event:
    """Something that happened: `x` is a place on the axis or a time within it."""

    x: str
    label: str
    href: str | None = None


def curve(
    points: Sequence[Point],
    *,
    name: str,
    title: str,
    summary: str = "",
    axis: Sequence[str] = (),
    limit: Line | None = None,
    forecast: Point | None = None,
    events: Sequence[Event] = (),
) -> Markup:
    """A curve through `points`. `axis` has all places, if it reaches beyond them. See the package for an example."""
    places = list(dict.fromkeys([*axis, *(point.x for point in points)]))
    if not points:
        return frame.empty(name, title, summary)
    values = [one.value for one in (*points, limit, forecast) if one]
    heights = scale(values, _TOP, _BOTTOM)
    ground = frame.y_axis(heights) + frame.x_axis(places, _HEIGHT - 10)
    marks = Markup("").join(
        [
            *(_event(event, places) for event in events),
            _limit(limit, heights),
            _line(points, places, heights),
            _forecast(points, forecast, places, heights),
            *(_dot(point, places, heights, len(points)) for point in points),
        ]
    )
    described = _description(points, limit, forecast, summary)
    return frame.figure(
        name, title, summary, frame.drawing(name, title, described, _HEIGHT, ground, marks, "al-curve"),
        _key(limit, forecast), _table(title, points, forecast), _events(events),
    )  # fmt: skip


def runs(points: Sequence[Point], places: Sequence[str], heights: Scale) -> list[list[tuple[float, float]]]:
    """The unbroken pieces of the curve: (per cent, pixels). A place that is unknown or missing ends a piece."""
    where = {place: index for index, place in enumerate(places)}
    pieces: list[list[tuple[float, float]]] = []
    last = None
    for point in points:
        if not known(point.value):
            last = None
            continue
        index = where[point.x]
        if last is None or index != last + 1:
            pieces.append([])
        pieces[-1].append((frame.middle(index, len(places)), heights.y(point.value)))
        last = index
    return pieces


def _line(points: Sequence[Point], places: Sequence[str], heights: Scale) -> Markup:
    paths = Markup("").join(
        Markup('<polyline points="{}" class="al-line"/>').format(_coordinates(piece))
        for piece in runs(points, places, heights)
        if len(piece) > 1
    )
    return _stretched(paths)


def _stretched(paths: Markup) -> Markup:
    """Paths can't be given in per cent, so their part of the drawing is a stretched one whose strokes are not."""
    return Markup(
        '<svg x="0" y="0" width="100%" height="{0}" viewBox="0 0 100 {0}" preserveAspectRatio="none">{1}</svg>'
    ).format(_HEIGHT, paths)


def _coordinates(piece: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{frame.number(x)},{frame.number(y)}" for x, y in piece)


def _dot(point: Point, places: Sequence[str], heights: Scale, total: int) -> Markup:
    x = frame.number(frame.middle(places.index(point.x), len(places)))
    words = f"{labels.day(point.x)}: {usd(point.value)}"
    if not known(point.value):
        width = min(100 / len(places), 4.0)
        mark = Markup(
            '<g><title>{}: not priced</title><rect x="{}%" y="{}" width="{}%" height="{}" class="al-unknown"/>'
            '<text x="{}%" y="{}" text-anchor="middle" class="al-tick">?</text></g>'
        ).format(
            labels.day(point.x), frame.number(frame.middle(places.index(point.x), len(places)) - width / 2),
            frame.number(_TOP), frame.number(width), frame.number(_BOTTOM - _TOP), x, frame.number(_BOTTOM - 5),
        )  # fmt: skip
        return frame.link(point.href, mark)
    mark = Markup(
        '<g><title>{1}</title><circle cx="{0}%" cy="{2}" r="7" class="al-hit"/>'
        '<circle cx="{0}%" cy="{2}" r="{3}" class="al-dot"/></g>'
    ).format(x, words, frame.number(heights.y(point.value)), "3" if total <= 62 else "1.5")
    return frame.link(point.href, mark)


def _limit(limit: Line | None, heights: Scale) -> Markup:
    if limit is None or not known(limit.value):
        return Markup("")
    y = heights.y(limit.value)
    mark = Markup(
        '<g><title>{0}</title><line x1="0" x2="100%" y1="{1}" y2="{1}" class="al-limit"/>'
        '<text x="0" y="{2}" class="al-limit-text">{0}</text></g>'
    ).format(labels.shorten(limit.label, 40), frame.number(y), frame.number(y - 5))
    return frame.link(limit.href, mark)


def _forecast(points: Sequence[Point], forecast: Point | None, places: Sequence[str], heights: Scale) -> Markup:
    """A dashed line from the last known point to where it is expected to end."""
    if forecast is None or not known(forecast.value) or forecast.x not in places:
        return Markup("")
    x, y = frame.middle(places.index(forecast.x), len(places)), heights.y(forecast.value)
    piece = [(x, y)]
    begun = runs(points, places, heights)
    if begun:
        piece.insert(0, begun[-1][-1])
    words = f"Forecast for {labels.day(forecast.x)}: {usd(forecast.value)}"
    line = Markup('<polyline points="{}" class="al-forecast"/>').format(_coordinates(piece))
    dot = Markup('<g><title>{}</title><circle cx="{}%" cy="{}" r="4" class="al-forecast-dot"/></g>').format(
        words, frame.number(x), frame.number(y)
    )
    return _stretched(line) + frame.link(forecast.href, dot)


def _event(event: Event, places: Sequence[str]) -> Markup:
    """A line upwards with a triangle at its head."""
    index = next((i for i, place in enumerate(places) if event.x.startswith(place)), None)
    if index is None:
        return Markup("")
    mark = Markup(
        '<g><title>{0}: {1}</title><line x1="{2}%" x2="{2}%" y1="14" y2="{3}" class="al-event"/>'
        '<svg x="{2}%" y="4" overflow="visible"><path d="M-5 0h10l-5 9z" class="al-event-head"/></svg></g>'
    ).format(
        _moment(event),
        labels.shorten(event.label, 80),
        frame.number(frame.middle(index, len(places))),
        frame.number(_BOTTOM),
    )
    return frame.link(event.href, mark)


def _key(limit: Line | None, forecast: Point | None) -> Markup:
    lines = []
    if limit is not None:
        lines.append(Markup("<li>{}</li>").format(frame.anchor(limit.href, limit.label)))
    if forecast is not None:
        lines.append(
            Markup('<li>Forecast for {} <span class="al-figure">{}</span></li>').format(
                labels.day(forecast.x), usd(forecast.value)
            )
        )
    return Markup('<ul class="al-legend al-inline">{}</ul>').format(Markup("").join(lines)) if lines else Markup("")


def _description(points: Sequence[Point], limit: Line | None, forecast: Point | None, summary: str) -> str:
    known_points = [point for point in points if known(point.value)]
    said = [summary] if summary else []
    if known_points:
        first, last = known_points[0], known_points[-1]
        said.append(f"From {usd(first.value)} on {labels.day(first.x)} to {usd(last.value)} on {labels.day(last.x)}")
    if len(known_points) < len(points):
        said.append(f"{len(points) - len(known_points)} places are not priced")
    if limit is not None:
        said.append(labels.shorten(limit.label, 60))
    if forecast is not None:
        said.append(f"Forecast {usd(forecast.value)}")
    return ". ".join([*said, "The table below has all."])


def _table(title: str, points: Sequence[Point], forecast: Point | None) -> Markup:
    rows: list[list[Markup | str]] = [[frame.anchor(point.href, point.x), usd(point.value)] for point in points]
    if forecast is not None:
        rows.append([frame.anchor(forecast.href, f"{forecast.x} (forecast)"), usd(forecast.value)])
    return frame.table(title, ["Day", "Amount"], rows)


def _moment(event: Event) -> str:
    """To the second, where it is a time."""
    return labels.shorten(event.x[:19].replace("T", " "))


def _events(events: Sequence[Event]) -> Markup:
    """The marks in words."""
    if not events:
        return Markup("")
    lines = [
        Markup("<li><time>{}</time> {}</li>").format(_moment(event), frame.anchor(event.href, event.label, 80))
        for event in events
    ]
    return Markup('<ol class="al-events">{}</ol>').format(Markup("").join(lines))
