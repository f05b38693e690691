"""Walking through the pages of a ledger as people do: by links, pickers and marks, and back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

HOME = "/demo/-/ledger"
OCTOBER = f"{HOME}?period=2026-10"


def heading(page: Any) -> str:
    return str(page.locator("section.content h1").inner_text())


def follow(page: Any, link: Any) -> None:
    """Click, and be there."""
    with page.expect_navigation():
        link.click()


def test_from_the_overview_to_a_request_and_back(open_page: Callable[..., Any]) -> None:
    page = open_page(OCTOBER)
    first = heading(page)
    follow(page, page.locator("section.content").get_by_role("link", name="invoice-reconciler").first)
    assert "invoice-reconciler" in heading(page)
    agent = page.url
    follow(page, page.locator("a[href*='/ledger/request/']").first)
    assert "/ledger/request/" in page.url
    assert page.locator("section.content table").count() >= 1
    page.go_back()
    assert page.url == agent
    page.go_back()
    assert heading(page) == first


def test_the_pickers_choose_axis_period_and_cost(open_page: Callable[..., Any]) -> None:
    page = open_page(HOME)
    page.select_option("select[name=by]", "team")
    page.select_option("select[name=period]", "2026-10")
    page.select_option("select[name=cost]", "all")
    follow(page, page.get_by_role("button", name="Show"))
    asked = parse_qs(urlsplit(page.url).query)
    assert (asked["by"], asked["period"], asked["cost"]) == (["team"], ["2026-10"], ["all"])
    assert "team" in heading(page)
    assert page.input_value("select[name=by]") == "team"
    assert "finance" in page.locator("#spend").inner_text()


def test_dates_and_a_time_zone(open_page: Callable[..., Any]) -> None:
    page = open_page(HOME)
    page.locator("summary", has_text="Dates and time zone").click()
    page.select_option("select[name=period]", "custom")
    page.fill("input[name=since]", "2026-10-24")
    page.fill("input[name=until]", "2026-10-26")
    page.fill("input[name=tz]", "Europe/Berlin")
    follow(page, page.get_by_role("button", name="Show"))
    assert "2026-10-24" in heading(page)
    assert page.input_value("input[name=tz]") == "Europe/Berlin"
    page.locator("#spend summary").click()
    rows = page.locator("#spend table tbody th").all_inner_texts()
    assert rows == ["2026-10-24", "2026-10-25", "2026-10-26"]


def test_a_mark_leads_to_its_rows(open_page: Callable[..., Any]) -> None:
    page = open_page(OCTOBER)
    mark = page.locator("#spend .al-drawing a", has=page.locator("title", has_text="24 Oct 2026")).first
    href = mark.get_attribute("href")
    assert "agent_id__exact=invoice-reconciler" in href
    follow(page, mark)
    assert urlsplit(page.url).path == "/demo/call_cost"
    assert page.locator("table.rows-and-columns tbody tr").count() > 1


def test_the_table_behind_a_chart_has_the_same_links_for_keys(open_page: Callable[..., Any]) -> None:
    page = open_page(OCTOBER)
    page.locator("#spend summary").focus()
    page.keyboard.press("Enter")
    link = page.locator("#spend .al-table tbody a").first
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("call_cost"))


def test_the_statement_opens_in_the_editor_with_the_same_rows(open_page: Callable[..., Any]) -> None:
    page = open_page(OCTOBER)
    details = page.locator("details.al-sql", has_text="change_usd").first
    details.locator("summary").click()
    follow(page, details.get_by_role("link", name="Open in the SQL editor"))
    assert "invoice-reconciler" in page.locator("table.rows-and-columns").first.inner_text()


@pytest.mark.parametrize("number", range(7))
def test_hostile_names_are_text_and_open_their_own_page(open_page: Callable[..., Any], number: int) -> None:
    page = open_page("/hostile/-/ledger?period=2026-10", width=360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    links = page.locator(".al-ranked th a[href*='/ledger/agent/']")
    assert links.count() == 7
    follow(page, links.nth(number))
    assert page.locator("section.content h1").count() == 1
    assert page.locator("section.content :is(script, img)").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
