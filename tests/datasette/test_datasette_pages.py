"""Each page in a real Datasette: it answers, its numbers are those of the views, and it shows the SQL it ran."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from datasette_agent_ledger.statements import statement
from datasette_server import PAGES, Server, hrefs, shown
from support import add_prices, call, price

from agent_ledger import Ledger

pytestmark = pytest.mark.filterwarnings("ignore")  # Datasette's own


@pytest.mark.parametrize("page", PAGES)
def test_every_page_answers_and_its_sql_runs_in_the_editor(
    ledger_file: Path, serve: Callable[..., Server], page: str
) -> None:
    server = serve(ledger_file)
    answer = server.get(f"/ledger/-/ledger{page}?period=2026-01" if page.startswith("/") else "/ledger/-/ledger")
    assert answer.status_code == 200, answer.text
    assert 'class="al-problem"' not in answer.text, shown(answer.text)
    editors = [href for href in hrefs(answer.text) if "sql=" in href and ".csv" not in href and ".json" not in href]
    assert editors or page == "/budgets"
    for href in editors:
        assert server.get(href).status_code == 200, href
    for href in (href for href in hrefs(answer.text) if ".csv?" in href or ".json?" in href):
        assert server.get(href).status_code == 200, href


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(ledger_file: Path, serve: Callable[..., Server], page: str) -> None:
    server = serve(ledger_file)
    answer = server.get(f"/ledger/-/ledger{page}")
    for href in {href.partition("#")[0] for href in hrefs(shown(answer.text)) if not href.startswith("#")} - {""}:
        assert href.startswith(("/", "?")), href
        if "sql=" not in href:
            assert server.get(href).status_code == 200, href


@pytest.mark.parametrize("axis", ["agent", "team", "feature", "customer", "model"])
def test_the_overview_says_what_the_views_say(ledger_file: Path, serve: Callable[..., Server], axis: str) -> None:
    """January has all but one call, so that December's is what is left of the views."""
    column = {"agent": "agent_id", "customer": "customer_id"}.get(axis, axis)
    with closing(sqlite3.connect(ledger_file)) as connection:
        view = dict(connection.execute(f"select {column}, cost_usd from cost_by_{axis}"))
    months = [_rows(serve(ledger_file), "by_key", f"?by={axis}&period={month}") for month in ("2025-12", "2026-01")]
    found: dict[str, float] = {}
    for rows in months:
        for row in rows:
            if row["cost_usd"] is not None:
                found[row[axis]] = found.get(row[axis], 0) + row["cost_usd"]
    assert found == pytest.approx({key: cost for key, cost in view.items() if cost is not None}, rel=1e-12)
    before = {row[axis]: row["before_usd"] for row in months[1] if row["before_usd"] is not None}
    assert before == {row[axis]: row["cost_usd"] for row in months[0] if row["cost_usd"] is not None}


def _rows(server: Server, name: str, query: str) -> list[dict[str, object]]:
    """The rows of a figure of the overview, asked again through the link to its JSON."""
    title = statement(name).sql.strip().splitlines()[-1]
    page = server.get(f"/ledger/-/ledger{query}")
    for href in hrefs(page.text):
        if ".json?" in href and "change_usd" in href and title:
            return list(server.get(f"{href}&_shape=array").json())
    raise AssertionError("no such figure")


def test_days_of_another_time_zone_add_up_to_the_same(serve: Callable[..., Server], ledger: Ledger) -> None:
    add_prices(ledger, price(input=10**6, output=10**7))
    ledger.record_calls(
        call(
            request_id=f"r{hour}", prompt_tokens=hour + 1, ts=f"2026-03-{28 + hour // 24:02}T{hour % 24:02}:59:00.000Z"
        )
        for hour in range(72)
    )
    ledger.compact()
    ledger.record_call(**call(request_id="later", ts="2026-03-29T22:30:00.000Z"))
    server = serve(ledger.path)
    page = server.get("/ledger/-/ledger?period=custom&since=2026-03-28&until=2026-03-30&tz=Europe/Berlin")
    (href,) = {href for href in hrefs(page.text) if ".json?" in href and "day_usd" in href}
    days = {row["day"]: round(row["cost_usd"] * 10**6) for row in server.get(f"{href}&_shape=array").json()}
    asked = parse_qs(urlsplit(href).query)
    assert asked["grain"] == ["hour"]
    with closing(sqlite3.connect(ledger.path)) as connection:
        # Berlin is at +1 until the 29th, 01:00 UTC, and at +2 from then on.
        expected = dict(
            connection.execute(
                "select date(ts, iif(ts < '2026-03-29T01', '+1 hours', '+2 hours')) as day,"
                " round(sum(cost_usd) * 1e6) from call_cost group by 1"
            )
        )
    assert days == {day: cost for day, cost in expected.items() if "2026-03-28" <= day <= "2026-03-30"}


def test_a_request_is_a_small_bill(ledger_file: Path, serve: Callable[..., Server]) -> None:
    page = serve(ledger_file).get("/ledger/-/ledger/request/r1")
    text = re.sub(r"<[^>]+>", " ", shown(page.text))
    assert "0.5011" in text  # 1,000 and 10 tokens, and half a dollar for the tool
    assert "LLM calls" in text
    assert "Tool calls" in text
    missing = serve(ledger_file).get("/ledger/-/ledger/request/nobody")
    assert missing.status_code == 404
    assert "No such request is here" in missing.text


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("?tz=Mars/Olympus", "tz: &#39;Mars/Olympus&#39; is not a time zone"),
        ("?period=soon", "period: &#39;soon&#39; is none"),
        ("?by=moon", "by: &#39;moon&#39; is none"),
        ("?period=custom&since=2026-02-30&until=2026-03-01", "since: &#39;2026-02-30&#39; is not a date"),
        ("?period=custom&since=2026-03-02&until=2026-03-01", "not a time of 1 to 366 days"),
        ("?tz=Asia/Kolkata", "choose another zone"),
    ],
)
def test_what_a_form_cannot_mean_is_said(
    ledger_file: Path, serve: Callable[..., Server], query: str, told: str
) -> None:
    answer = serve(ledger_file).get(f"/ledger/-/ledger{query}")
    assert answer.status_code == 400
    assert told in answer.text


def test_several_ledgers_and_other_databases(ledger_file: Path, serve: Callable[..., Server], tmp_path: Path) -> None:
    with Ledger(tmp_path / "second.db") as second:
        second.record_call(**call(agent_id="elsewhere"))
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("create table cost_by_agent (agent_id)")
        connection.execute("insert into cost_by_agent values ('a')")
        connection.commit()
    server = serve(ledger_file, second.path, other)
    assert "elsewhere" in server.get("/second/-/ledger").text
    assert "elsewhere" not in server.get("/ledger/-/ledger").text
    assert server.get("/other/-/ledger").status_code == 404
    assert server.get("/nothing/-/ledger").status_code == 404
    assert "/-/ledger" not in shown(server.get("/other/cost_by_agent").text)
    assert "/-/ledger" not in shown(server.get("/other").text)
    menu = server.get("/").text
    assert "/ledger/-/ledger" in menu
    assert "/second/-/ledger" in menu
    assert "/other/-/ledger" not in menu


def test_an_empty_ledger_has_pages_too(ledger: Ledger, serve: Callable[..., Server]) -> None:
    server = serve(ledger.path)
    for page in PAGES:
        if not page.startswith("/request"):
            assert server.get(f"/ledger/-/ledger{page}").status_code == 200, page
