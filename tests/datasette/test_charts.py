"""Charts: geometry that adds up, nothing outside of the drawing, unknown never as zero, hostile text as text."""

from __future__ import annotations

import math
import re
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("datasette", reason="the extra datasette is not installed")

from datasette_agent_ledger.charts import (
    OTHER,
    Cell,
    Column,
    Event,
    Line,
    Point,
    Series,
    bar,
    bars,
    curve,
    frame,
    meter,
    scale,
    stacked,
    stacked_bars,
)

CSS = Path(frame.__file__).parents[1] / "static" / "agent-ledger.css"
AMOUNTS = st.none() | st.floats(-1e9, 1e9) | st.sampled_from([0.0, 1e-12, 5e-324, -1e300, 1e300, math.inf, math.nan])
HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "x" * 10_000,
    "\u202eturned",
    "مرحبا بالعالم",
    "👩‍👩‍👧‍👦👍🏽🇫🇷",
    "a/b%2F?#&amp;",
    "\x00\x01\n\t",
    "",
]
DAYS = [f"2026-10-{day:02}" for day in range(1, 32)]


def parsed(markup: str) -> ElementTree.Element:
    """The markup as XML, which what is written here is; so that text can't be mistaken for an element."""
    return ElementTree.fromstring(f"<body>{markup}</body>")


def tags(markup: str) -> list[str]:
    return [element.tag for element in parsed(markup).iter()]


def stacked_of(key: str, value: float | None = 1.0) -> str:
    return stacked_bars(
        [Column("2026-10-01", total=value, href="/day", unknown=2, unknown_href="/unpriced"), Column("2026-10-02")],
        [Series(key, total=value, href="/key"), Series(OTHER)],
        [Cell("2026-10-01", key, value, "/cell"), Cell("2026-10-02", OTHER, -2.0)],
        name="spend", title=key, summary=f"of {key}",
    )  # fmt: skip


def curve_of(key: str) -> str:
    return curve(
        [Point("2026-10-01", 1.0, "/day"), Point("2026-10-02", None), Point("2026-10-03", 2.0)],
        name="month", title=key, summary=f"of {key}", axis=DAYS, limit=Line(5.0, key, "/budget"),
        forecast=Point("2026-10-31", 6.0, "/forecast"), events=[Event("2026-10-02T10:00:00Z", key, "/event")],
    )  # fmt: skip


# -- scale ------------------------------------------------------------------------------------------------------------


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
def test_ticks_are_round_few_and_hold_what_is_drawn(one: float, other: float) -> None:
    ticks = scale.ticks(min(one, other), max(one, other))
    nearly = 1e-8 * max(abs(one), abs(other), 1e-3)
    assert ticks[0] <= min(one, other, 0.0) + nearly
    assert max(one, other, 0.0) <= ticks[-1] + nearly
    assert 0.0 in ticks
    assert 2 <= len(ticks) <= 7
    assert ticks == sorted(ticks)


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"),
    [
        (0, 5954.2, [0, 2000, 4000, 6000]),
        (0, 0, [0, 1]),
        (-3, 4, [-4, -2, 0, 2, 4]),
        (0, 0.0042, [0, 0.002, 0.004, 0.006]),
        (0, 100, [0, 25, 50, 75, 100]),
        (-7, 0, [-8, -6, -4, -2, 0]),
    ],
)
def test_ticks_of_money(lowest: float, highest: float, expected: list[float]) -> None:
    assert scale.ticks(lowest, highest) == expected


# -- stacked bars -----------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(AMOUNTS, min_size=1, max_size=8), min_size=1, max_size=40))
def test_segments_add_up_to_their_sum_and_stay_inside(rows: list[list[float | None]]) -> None:
    columns = [Column(str(index)) for index in range(len(rows))]
    series = [Series(str(index)) for index in range(max(map(len, rows)))]
    cells = {(str(x), str(key)): Cell(str(x), str(key), v) for x, row in enumerate(rows) for key, v in enumerate(row)}
    axis, segments = stacked.layout(columns, series, cells)
    for column, row in zip(columns, rows, strict=True):
        mine = [segment for segment in segments if segment.column is column and segment.cell]
        up = [s for s in mine if s.cell and (s.cell.value or 0) > 0]
        down = [s for s in mine if s.cell and (s.cell.value or 0) < 0]
        finite = [value for value in row if value is not None and math.isfinite(value)]
        for part, total in ((up, sum(v for v in finite if v > 0)), (down, sum(v for v in finite if v < 0))):
            assert sum(s.height for s in part) == pytest.approx(abs(axis.y(total) - axis.y(0.0)), abs=1e-6)
            edges = sorted((s.y, s.y + s.height) for s in part)
            assert all(b[0] >= a[1] - 1e-6 for a, b in pairwise(edges)), "no overlap"
        assert all(s.y + s.height <= axis.y(0.0) + 1e-6 for s in up)
        assert all(s.y >= axis.y(0.0) - 1e-6 for s in down)
        capped = [s for s in segments if s.column is column and s.cell is None]
        assert bool(capped) == (len(finite) < len(row)), "unknown has a mark of its own, and only unknown"
    for segment in segments:
        assert 0 <= segment.x <= segment.x + segment.width <= 100 + 1e-9
        assert 0 <= segment.y <= segment.y + segment.height <= 260


def test_every_segment_and_cap_leads_to_its_rows() -> None:
    found = {link.get("href") for link in parsed(stacked_of("a")).iter("a")}
    assert found == {"/day", "/unpriced", "/key", "/cell"}


def test_unknown_is_said_and_drawn_and_never_zero() -> None:
    markup = stacked_of("a", None)
    drawn = [rect for rect in parsed(markup).iter("rect") if rect.get("fill") == "url(#spend-fill-0)"]
    assert [rect.get("height") for rect in drawn] == ["12"], "only the swatch of the legend"
    assert "cost unknown for 2 calls" in markup
    assert "unknown" in markup
    assert "$0.00" not in markup


def test_a_zero_is_no_mark_but_stands_in_the_table() -> None:
    cells = [Cell("2026-10-01", "a", 0.0)]
    markup = stacked_bars([Column("2026-10-01", total=0.0)], [Series("a", 0.0)], cells, name="n", title="t")
    assert 'class="al-unknown"' not in markup
    assert "$0.00" in markup


def test_other_has_the_last_fill_and_series_share_fills_only_beyond_the_palette() -> None:
    series = [*(Series(str(index)) for index in range(7)), Series(OTHER)]
    assert [stacked.fill_of(index, series) for index in range(8)] == list(range(8))


def test_the_table_behind_has_every_amount() -> None:
    table = parsed(stacked_of("a", 1234.5)).find(".//table")
    assert table is not None
    rows = [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]
    assert rows == [
        ["Day", "a", OTHER, "Total", "Calls not priced"],
        ["2026-10-01", "$1,234.50", "", "$1,234.50", "2"],
        ["2026-10-02", "", "−$2.00", "unknown", ""],
    ]


# -- curve ------------------------------------------------------------------------------------------------------------


@given(st.lists(AMOUNTS, min_size=1, max_size=60))
def test_the_curve_breaks_where_it_is_not_known_and_stays_inside(values: list[float | None]) -> None:
    points = [Point(str(index), value) for index, value in enumerate(values)]
    heights = scale.scale(values, 30.0, 192.0)
    runs = curve_module().runs(points, [point.x for point in points], heights)
    known = [value is not None and math.isfinite(value) for value in values]
    assert sum(map(len, runs)) == sum(known)
    assert len(runs) == sum(now and not before for before, now in zip([False, *known], known, strict=False))
    for x, y in (place for run in runs for place in run):
        assert 0 <= x <= 100
        assert 30 <= y <= 192


def test_a_missing_day_breaks_the_curve_too() -> None:
    points = [Point("2026-10-01", 1.0), Point("2026-10-03", 1.0)]
    assert len(curve_module().runs(points, DAYS, scale.scale([1.0], 0, 1))) == 2


def test_the_curve_has_its_budget_forecast_events_and_links() -> None:
    markup = curve_of("note")
    assert {link.get("href") for link in parsed(markup).iter("a")} == {"/day", "/budget", "/forecast", "/event"}
    assert "Forecast for 31 Oct 2026: $6.00" in markup
    assert "2 Oct 2026: not priced" in markup
    classes = {element.get("class") for element in parsed(markup).iter()}
    assert {"al-limit", "al-forecast", "al-event", "al-unknown"} <= classes


def curve_module():  # type: ignore[no-untyped-def]
    """The module, which the function of its name hides."""
    return sys.modules["datasette_agent_ledger.charts.curve"]


# -- bars and meters ---------------------------------------------------------------------------------------------------


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_bars_stay_inside(value: float, other: float) -> None:
    start, length = bars.span(value, max(value, other), min(value, other))
    assert 0 <= start <= start + length <= 100 + 1e-6


@given(AMOUNTS, AMOUNTS)
def test_meters_stay_inside(used: float | None, forecast: float | None) -> None:
    for element in parsed(meter(used, forecast, "b")).iter():
        for name in ("x", "x1", "width"):
            value = element.get(name)
            assert value is None or 0 <= float(value.rstrip("%")) <= 100
        if element.tag == "rect" and (x := element.get("x")):
            assert float(x.rstrip("%")) + float((element.get("width") or "0").rstrip("%")) <= 100.02


def test_a_meter_says_in_words_what_it_shows() -> None:
    assert 'aria-label="team: 120.0% used, 150.0% expected"' in meter(1.2, 1.5, "team")
    assert "al-over" in meter(1.2)
    assert "al-over" not in meter(1.0)
    assert "unknown" in meter(None)


def test_an_unknown_bar_is_not_an_empty_one() -> None:
    assert "al-unknown" in bar(None, 5.0)
    assert "al-unknown" not in bar(0.0, 5.0)
    assert "al-credit" in bar(-1.0, 5.0, -1.0)


# -- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [stacked_of, curve_of])
@pytest.mark.parametrize("key", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_text(draw, key: str) -> None:  # type: ignore[no-untyped-def]
    markup = draw(key)
    assert tags(markup) == tags(draw("plain"))
    assert max(map(len, parsed(markup).itertext())) <= 1000
    assert not re.search("[\x00-\x08\u202a-\u202e\u2066\u2067]", markup)


@given(st.text())
def test_any_text_is_text(key: str) -> None:
    assert tags(stacked_of(key)) == tags(stacked_of("plain"))


@pytest.mark.parametrize("draw", [stacked_of, curve_of])
def test_a_strict_policy_allows_everything(draw) -> None:  # type: ignore[no-untyped-def]
    for element in parsed(draw("a")).iter():
        assert element.tag not in ("script", "style", "foreignObject", "image", "use")
        for name, value in element.attrib.items():
            assert name != "style"
            assert not name.startswith("on")
            assert "//" not in value, "no address of elsewhere"


@pytest.mark.parametrize("draw", [stacked_of, curve_of])
def test_a_drawing_has_a_name_a_description_and_a_table(draw) -> None:  # type: ignore[no-untyped-def]
    root = parsed(draw("a"))
    image = next(element for element in root.iter() if element.get("role") == "img")
    named = (image.get("aria-labelledby") or "").split()
    assert [element.tag for element in image if element.get("id") in named] == ["title", "desc"]
    assert image.find(".//a") is None, "an image has no links: they would be unreachable"
    assert all(link.get("tabindex") == "-1" for svg in root.iter("svg") for link in svg.iter("a"))
    assert root.find(".//details/div/table/caption") is not None
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("href", ["https://example.com", "//example.com", "javascript:alert(1)", "/\\example.com", ""])
def test_links_of_elsewhere_are_refused(href: str) -> None:
    with pytest.raises(ValueError, match="not a link within this site"):
        frame.checked(href)


def test_nothing_to_draw_is_said() -> None:
    for markup in (
        stacked_bars([], [], [], name="n", title="t"),
        curve([], name="n", title="t"),
    ):
        assert "Nothing was recorded here." in markup


# -- colours ----------------------------------------------------------------------------------------------------------


def schemes() -> dict[str, dict[str, str]]:
    """The custom properties of light and dark."""
    text = CSS.read_text("utf-8")
    blocks = re.findall(r"body\.agent-ledger \{(.*?)\}", text, re.DOTALL)
    light, dark = (dict(re.findall(r"(--al-[\w-]+): (#\w+);", block)) for block in blocks[:2])
    return {"light": light, "dark": dark}


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_are_told_from_the_paper(scheme: str) -> None:
    colours = schemes()[scheme]
    assert set(colours) == set(schemes()["light"])
    for name, colour in colours.items():
        if name.startswith("--al-fill"):
            assert contrast(colour, colours["--al-paper"]) >= 3, name
        if name in ("--al-ink", "--al-soft", "--al-link", "--al-warn"):
            assert contrast(colour, colours["--al-paper"]) >= 4.5, name
            assert contrast(colour, colours["--al-faint"]) >= 4.5, name


def test_neighbours_are_told_apart_without_colour() -> None:
    drawn = frame._PATTERNS
    assert len(drawn) == frame.FILLS
    assert all(one != other for one, other in pairwise(drawn))
    assert len({path for path in drawn if path}) == len([path for path in drawn if path])
    text = CSS.read_text("utf-8")
    assert all(f".al-fill-{fill} {{" in text for fill in range(frame.FILLS))
