"""What the charts share: the figure around the drawing, its axes, its links, its patterns, the table behind it.

Positions along the x axis are per cent and along the y axis pixels, so that a drawing is as wide as its place while
text and lines keep their size: on a phone nothing is scaled down to where it can't be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from datasette_agent_ledger.charts import labels
from datasette_agent_ledger.charts.amounts import usd_tick
from datasette_agent_ledger.charts.scale import Scale

FILLS = 8  # colours of the palette, each with a pattern of its own; the last one is "(other)"
# The pattern says who it is where the colour can't: print, colour-blindness. None: plain.
_PATTERNS: tuple[str | None, ...] = (
    None,
    "M-2 2l4 -4M0 8l8 -8M6 10l4 -4",
    "M0 4h8",
    "M1 2h2M5 6h2",
    "M4 0v8",
    "M-2 6l4 4M0 0l8 8M6 -2l4 4",
    "M0 4h8M4 0v8",
    None,
)


def number(value: float) -> str:
    """A coordinate with two decimals and no more characters than it needs."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def link(href: str | None, content: Markup, css: str = "") -> Markup:
    """`content` as a link, if there is one. In a drawing it is for the pointer; for keys there is the table behind."""
    if href is None:
        return content
    return Markup('<a href="{}" tabindex="-1"{}>{}</a>').format(checked(href), _class(css), content)


def anchor(href: str | None, text: str, columns: int = 48) -> Markup:
    """A label of HTML, shortened, in its own direction, whole in its tooltip, linked if there is where to."""
    short = labels.shorten(text, columns)
    title = Markup(' title="{}"').format(labels.shorten(text, 400)) if short != text else Markup("")
    label = Markup("<bdi{}>{}</bdi>").format(title, short)
    return label if href is None else Markup('<a href="{}">{}</a>').format(checked(href), label)


def checked(href: str) -> str:
    """A link within this site. Raises ValueError for others: they can't come from our code."""
    href = str(href)
    if not href.startswith(("/", "?", "#")) or href.startswith(("//", "/\\")):
        raise ValueError(f"{labels.shorten(href, 80)!r} is not a link within this site: begin it with / or ?")
    return href


def pattern_id(name: str, fill: int) -> str:
    """The id of the pattern of a fill in the drawing `name`."""
    return f"{name}-fill-{fill}"


def patterns(name: str, fills: Iterable[int]) -> Markup:
    """Definitions of the patterns that a drawing uses."""
    made = []
    for fill in sorted(set(fills)):
        path = _PATTERNS[fill]
        lines = Markup('<path d="{}" class="al-hatch"/>').format(path) if path else Markup("")
        made.append(
            Markup(
                '<pattern id="{}" width="8" height="8" patternUnits="userSpaceOnUse">'
                '<rect width="8" height="8" class="al-fill-{}"/>{}</pattern>'
            ).format(pattern_id(name, fill), fill, lines)
        )
    return Markup("<defs>{}</defs>").format(Markup("").join(made))


def drawing(name: str, title: str, summary: str, height: int, ground: Markup, marks: Markup, css: str) -> Markup:
    """The SVG element: an image with what a screen reader says about it, and on it the marks.

    Marks are links for the pointer. An image has no links for assistive technology, so they stand beside it and are
    hidden from there; the table behind the drawing has the same links for everyone.
    """
    title, summary = labels.shorten(title, 120), labels.shorten(summary, 1000)
    return Markup(
        '<svg class="al-drawing {css}" width="100%" height="{height}">'
        '<g role="img" aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{title}</title>'
        '<desc id="{name}-d">{summary}</desc>{ground}</g><g aria-hidden="true">{marks}</g></svg>'
    ).format(css=css, height=height, name=name, title=title, summary=summary, ground=ground, marks=marks)


def figure(name: str, title: str, summary: str, *parts: Markup) -> Markup:
    """The drawing with its caption and what belongs to it."""
    title, summary = labels.shorten(title, 120), labels.shorten(summary, 200) if summary else ""
    text = Markup(' <span class="al-summary">{}</span>').format(summary) if summary else Markup("")
    return Markup('<figure class="al-chart" id="{}"><figcaption><strong>{}</strong>{}</figcaption>{}</figure>').format(
        name, title, text, Markup("").join(parts)
    )


def empty(name: str, title: str, summary: str) -> Markup:
    """What stands where nothing can be drawn."""
    return figure(name, title, summary, Markup('<p class="al-empty">Nothing was recorded here.</p>'))


def y_axis(scale: Scale) -> Markup:
    """Lines across at the ticks, their amounts in the margin that the stylesheet leaves."""
    lines = []
    for value in scale.ticks:
        y = scale.y(value)
        css = "al-zero" if value == 0 else "al-grid"
        lines.append(
            Markup(
                '<line x1="0" x2="100%" y1="{0}" y2="{0}" class="{1}"/>'
                '<text x="-8" y="{2}" text-anchor="end" class="al-tick">{3}</text>'
            ).format(number(y), css, number(y + 4), usd_tick(value))
        )
    return Markup("").join(lines)


def x_axis(names: Sequence[str], y: float) -> Markup:
    """Some of the names below the axis: at most eight, of which a narrow place shows every other one."""
    shown = ticked(len(names))
    marks, before = [], None
    for place, index in enumerate(shown):
        css = "al-tick al-minor" if place % 2 else "al-tick"
        marks.append(
            Markup('<text x="{}%" y="{}" text-anchor="{}" class="{}">{}</text>').format(
                number(middle(index, len(names))), number(y), _anchor(index, len(names)), css,
                labels.tick(names[index], before if len(shown) < 3 else None),
            )
        )  # fmt: skip
        before = names[index]
    return Markup("").join(marks)


def ticked(total: int, most: int = 8) -> list[int]:
    """Which of `total` positions get a name: evenly apart, the first among them."""
    step = max(1, -(-total // most))
    return list(range(0, total, step))


def middle(index: int, total: int) -> float:
    """The middle of the place of one of `total` positions, in per cent."""
    return (index + 0.5) * 100 / total


def table(caption: str, headings: Sequence[Markup | str], rows: Iterable[Sequence[Markup | str]]) -> Markup:
    """The data behind a drawing. The first column names the row, the others are figures."""
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(heading) for heading in headings)
    lines = []
    for first, *others in rows:
        cells = Markup("").join(Markup("<td>{}</td>").format(cell) for cell in others)
        lines.append(Markup('<tr><th scope="row">{}</th>{}</tr>').format(first, cells))
    return Markup(
        '<details class="al-data"><summary>Data of this chart</summary>'
        '<div class="al-scroll" tabindex="0" role="region" aria-label="{0}"><table class="al-table">'
        "<caption>{0}</caption><thead><tr>{1}</tr></thead><tbody>{2}</tbody></table></div></details>"
    ).format(labels.shorten(caption, 120), head, Markup("").join(lines))


def _anchor(index: int, total: int) -> str:
    if total > 2 and index == 0:
        return "start"
    return "end" if total > 2 and index == total - 1 else "middle"


def _class(css: str) -> Markup:
    return Markup(' class="{}"').format(escape(css)) if css else Markup("")
