"""Horizontal bars for the cells of a table, which is what a ranking is; and a meter of what is used."""

from __future__ import annotations

from markupsafe import Markup

from datasette_agent_ledger.charts import frame, labels
from datasette_agent_ledger.charts.amounts import known, share
from datasette_agent_ledger.charts.scale import LEAST

_BAR = 12


def span(value: float, largest: float, smallest: float = 0.0) -> tuple[float, float]:
    """Where a bar begins and how long it is, in per cent. Zero lies where `smallest` and `largest` leave it."""
    low, high = min(smallest, 0.0), max(largest, 0.0)
    if high - low < LEAST:
        return 0.0, 0.0
    whole = high / 2 - low / 2
    zero = (0.0 - low / 2) / whole
    end = min(max((value / 2 - low / 2) / whole, 0.0), 1.0)
    return min(zero, end) * 100, abs(end - zero) * 100


def bar(value: float | None, largest: float, smallest: float = 0.0) -> Markup:
    """One bar, for a cell beside the number: it is decoration, and hidden from screen readers."""
    if not known(value):
        mark = Markup('<rect x="0.5" y="3.5" width="18" height="5" class="al-unknown"/>')
    else:
        x, width = span(value, largest, smallest)
        mark = Markup('<rect x="{}%" y="1" width="{}%" height="{}" class="{}"/>').format(
            frame.number(x), frame.number(width), _BAR - 2, "al-fill-0" if value >= 0 else "al-credit"
        )
    return Markup('<svg class="al-bar" width="100%" height="{}" aria-hidden="true">{}</svg>').format(_BAR, mark)


def meter(used: float | None, forecast: float | None = None, label: str = "") -> Markup:
    """The used share of a budget (1.0 is all of it), a mark where it is expected to end, and what lies beyond hatched.

    The whole stands at 100 %, or further left if it is exceeded, so that the excess can be seen.
    """
    if not known(used):
        return Markup('<span class="al-unknown-text">unknown</span>')
    expected = forecast if known(forecast) else None
    most = max(1.0, used, expected or 0.0)
    limit, within, end = (max(part, 0.0) / most * 100 for part in (1.0, min(used, 1.0), used))
    parts = [
        Markup('<rect width="{}%" height="{}" class="al-track"/>').format(frame.number(limit), _BAR),
        Markup('<rect width="{}%" height="{}" class="al-fill-0"/>').format(frame.number(within), _BAR),
    ]
    if end > within:
        parts.append(
            Markup('<rect x="{}%" width="{}%" height="{}" class="al-over"/>').format(
                frame.number(within), frame.number(end - within), _BAR
            )
        )
    if most > 1.0:
        whole = Markup('<line x1="{0}%" x2="{0}%" y1="0" y2="{1}" class="al-whole"/>')
        parts.append(whole.format(frame.number(limit), _BAR))
    if expected is not None:
        x = frame.number(min(max(expected, 0.0) / most * 100, 99.5))
        parts.append(Markup('<line x1="{0}%" x2="{0}%" y1="0" y2="{1}" class="al-expected"/>').format(x, _BAR))
    name = f"{labels.shorten(label, 80)}: " if label else ""
    words = f"{name}{share(used)} used"
    words += f", {share(expected)} expected" if expected is not None else ""
    return Markup(
        '<svg class="al-meter" width="100%" height="{}" role="img" aria-label="{}"><title>{}</title>{}</svg>'
    ).format(_BAR, words, words, Markup("").join(parts))
