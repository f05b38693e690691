"""Every page of a ledger, in a browser: it fits, it can be read by everyone, and it keeps to itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

HOME = "/demo/-/ledger"
PAGES = {
    "overview": HOME,
    "overview of a month": f"{HOME}?period=2026-10",
    "overview all-in by team": f"{HOME}?by=team&cost=all&period=2026-10",
    "overview of dates in a zone": f"{HOME}?period=custom&since=2026-10-20&until=2026-10-27&tz=Europe/Berlin",
    "overview of a period without calls": f"{HOME}?period=2020-01",
    "a bad period": f"{HOME}?period=never",
    "agent": f"{HOME}/agent/invoice-reconciler?period=2026-10",
    "agent without price": f"{HOME}/agent/ticket-router?period=2026-10",
    "team": f"{HOME}/team/finance?period=2026-10",
    "feature": f"{HOME}/feature/payments?period=2026-10",
    "customer": f"{HOME}/customer/~28unattributed~29?period=2026-10",
    "model": f"{HOME}/model/claude-sonnet-5?period=2026-10",
    "request": f"{HOME}/request/req_demo_invoice_4711",
    "budgets": f"{HOME}/budgets",
    "reconciliation": f"{HOME}/reconciliation",
    "prices": f"{HOME}/prices",
    "quality": f"{HOME}/quality",
}
WIDTHS = (360, 1024, 1920)
IN_THE_DARK = ("overview of a month", "request", "quality")  # they have all parts; axe takes seconds a page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_and_axe_finds_nothing(open_page: Callable[..., Any], name: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(PAGES[name])
    assert page.locator("section.content h1").count() == 1
    page.evaluate(axe.axe_script)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{width} px: it scrolls sideways"
        if scheme == "light" or name in IN_THE_DARK:
            page.set_viewport_size({"width": 360 if scheme == "dark" else 1024, "height": 900})
            assert violations(page) == [], f"{name}, {scheme}"


def violations(page: Any) -> list[tuple[str, str]]:
    """What axe finds in our content. What is around it is Datasette's, and on 1.0 axe stumbles over its search."""
    found = page.evaluate("axe.run({include: [['section.content']]}, {resultTypes: ['violations'], preload: false})")
    return [
        (violation["id"], f"{node['html'][:200]}: {node['failureSummary'][:200]}")
        for violation in found["violations"]
        for node in violation["nodes"][:3]
    ]


@pytest.mark.parametrize("name", ["overview of a month", "agent", "request"])
def test_a_strict_policy_and_no_script_change_nothing(open_page: Callable[..., Any], name: str) -> None:
    """Nothing of ours is inline: no style, no script. The page is the same where scripts are off."""
    page = open_page(PAGES[name])
    inline = "section.content :is([style], script, style), section.content [onclick]"
    assert page.locator(inline).count() == 0
    without = open_page(PAGES[name], java_script_enabled=False)
    texts = [each.locator("section.content").inner_text() for each in (page, without)]
    assert texts[0] == texts[1]


def test_print_leaves_out_what_paper_can_not_do(open_page: Callable[..., Any]) -> None:
    page = open_page(PAGES["overview of a month"])
    page.emulate_media(media="print")
    assert not page.locator(".al-pickers").is_visible()
    assert not page.locator("header").is_visible()
    assert page.locator("#spend svg.al-drawing").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_dark_and_light_differ_and_text_is_readable_in_charts(open_page: Callable[..., Any]) -> None:
    page = open_page(PAGES["overview of a month"])
    seen = {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        seen[scheme] = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('.al-tick')).fill]"
        )
    assert seen["light"][0] != seen["dark"][0]
    assert seen["light"][1] != seen["dark"][1]
    for size in page.evaluate("[...document.querySelectorAll('.al-tick')].map(e => e.getBoundingClientRect().height)"):
        assert size == 0 or size >= 11, "text of a chart keeps its size"
