"""A curve of the height of a line, for a cell of a table."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from datasette_agent_ledger.charts import frame, labels
from datasette_agent_ledger.charts.amounts import known
from datasette_agent_ledger.charts.scale import Scale

_WIDTH, _HEIGHT = 100.0, 20


def sparkline(values: Sequence[float | None], *, label: str) -> Markup:
    """Values from left to right, from zero (or the lowest credit) up. What is unknown leaves a gap."""
    paths = Markup("").join(
        Markup('<polyline points="{}" class="al-line"/>').format(
            " ".join(f"{frame.number(x)},{frame.number(y)}" for x, y in piece)
        )
        for piece in pieces(values)
    )
    return Markup(
        '<svg class="al-spark" width="100" height="{0}" viewBox="0 0 100 {0}" preserveAspectRatio="none" role="img" '
        'aria-label="{1}">{2}</svg>'
    ).format(_HEIGHT, labels.shorten(label, 120), paths)


def pieces(values: Sequence[float | None]) -> list[list[tuple[float, float]]]:
    """The unbroken pieces of the curve as points of its view box. A single value is a short stroke."""
    numbers = [value for value in values if known(value)]
    low, high = min([*numbers, 0.0]), max([*numbers, 0.0])
    heights = Scale((low, high if high > low else low + 1.0), 2.0, _HEIGHT - 2.0)
    step = _WIDTH / max(len(values), 1)
    made: list[list[tuple[float, float]]] = [[]]
    for index, value in enumerate(values):
        if not known(value):
            made.append([])
        else:
            made[-1].append(((index + 0.5) * step, heights.y(value)))
    return [
        piece if len(piece) > 1 else [(piece[0][0] - step / 2, piece[0][1]), (piece[0][0] + step / 2, piece[0][1])]
        for piece in made
        if piece
    ]
