"""Nobody sees through a page, a query, a link or its data what Datasette does not let them see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasette_agent_ledger import compat, queries
from datasette_agent_ledger.statements import statement
from datasette_server import PAGES, Server, denied, hrefs, shown

from agent_ledger import schema

pytestmark = pytest.mark.filterwarnings("ignore")  # Datasette's own

ROOT = {"id": "root"}
SOMEBODY = {"id": "somebody"}
ALL_VIEWS = ("usage_cost", "all_in_part", "tool_usage_cost", "call_cost", "tool_cost", "coverage", "cost_by_agent")


@pytest.mark.parametrize("actor", [None, SOMEBODY])
@pytest.mark.parametrize("page", PAGES)
def test_a_denied_database_has_no_pages(
    ledger_file: Path, serve: Callable[..., Server], page: str, actor: dict[str, str] | None
) -> None:
    server = serve(ledger_file, config={"databases": {"ledger": {"allow": {"id": "root"}}}})
    answer = server.get(f"/ledger/-/ledger{page}", actor)
    assert answer.status_code == 403
    assert "acme" not in answer.text
    assert "/-/ledger" not in server.get("/", actor).text
    assert server.get(f"/ledger/-/ledger{page}", ROOT).status_code == 200


@pytest.mark.parametrize("actor", [None, SOMEBODY])
def test_figures_over_a_denied_view_are_left_out(
    ledger_file: Path, serve: Callable[..., Server], actor: dict[str, str] | None
) -> None:
    """Also where what is read is another view: who may not see cost_by_customer does not see what customers cost."""
    server = serve(ledger_file, config=denied("ledger", "cost_by_customer", "call_cost"))
    seen, everything = (server.get("/ledger/-/ledger?by=customer&period=2026-01", who) for who in (actor, ROOT))
    assert "acme" in everything.text
    assert seen.status_code == 200
    assert "acme" not in seen.text
    assert "You may not see this" in seen.text
    assert not [href for href in hrefs(seen.text) if "sql=" in href or "call_cost" in href]
    agent = server.get("/ledger/-/ledger/agent/a?period=2026-01", actor)
    assert agent.status_code == 200
    assert "acme" not in shown(agent.text)
    assert ">r1<" not in agent.text
    request = server.get("/ledger/-/ledger/request/r1", actor)
    assert "1,000" not in shown(request.text)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_denied_views_only_is_refused(ledger_file: Path, serve: Callable[..., Server], page: str) -> None:
    names = {name for one in _pages_views(page) for name in one}
    if page == "/budgets" and "budget_status" not in schema.scripts("views"):
        pytest.skip("a ledger without budgets has no views of them")
    server = serve(ledger_file, config=denied("ledger", *names))
    assert server.get(f"/ledger/-/ledger{page}", SOMEBODY).status_code == 403
    assert server.get(f"/ledger/-/ledger{page}", ROOT).status_code == 200


def _pages_views(page: str) -> list[tuple[str, ...]]:
    kind = page.strip("/").partition("/")[0]
    starts = {"": ("when",), "request": ("request_",), "reconciliation": ("when",), "prices": ("price",)}
    starts |= {"quality": ("quality_",), "budgets": ("budgets_",)}
    folder = Path(queries.__file__).parent / "sql"
    names = [path.stem for path in folder.glob("*.sql")]
    return [statement(name).reads for name in names if name.startswith(starts.get(kind, ("when",)))]


def test_links_are_for_those_who_may_follow_them(ledger_file: Path, serve: Callable[..., Server]) -> None:
    server = serve(ledger_file, config=denied("ledger", *ALL_VIEWS))
    for path in ("/", "/ledger", "/ledger/cost_by_team"):
        assert "/-/ledger" not in shown(server.get(path, SOMEBODY).text).partition("<table")[0], path
        assert "Spend in" not in server.get(path, SOMEBODY).text
        assert "/-/ledger" in server.get(path, ROOT).text, path


@pytest.mark.parametrize("name", queries.names())
def test_queries_do_not_tell_what_is_denied(ledger_file: Path, serve: Callable[..., Server], name: str) -> None:
    found = statement(f"queries/{name}")
    server = serve(ledger_file, config=denied("ledger", *found.reads))
    values = {"agent_id": "a", "since": "2020-01-01", "until": "2030-01-01", "customer_id": "acme", "team": "risk"}
    values |= {"request_id": "r1", "day": "2026-01-15", "model": "%", "month": "2026-01"}
    asked = "&".join(f"{parameter}={values[parameter].replace('%', '%25')}" for parameter in found.parameters)
    for extension in ("", ".json", ".csv"):
        path = f"/ledger/{name}{extension}?{asked}"
        assert server.get(path, ROOT).status_code == 200, path
        assert server.get(path, SOMEBODY).status_code in (403, 404), path
        assert server.get(path).status_code in (403, 404), path
    rows = server.get(f"/ledger/{name}.json?{asked}&_shape=array", ROOT).json()
    assert rows, "the test can tell"


# -- those who see their team -----------------------------------------------------------------------------------------

PER_TEAM = {
    "plugins": {"agent-ledger": {"team_key": "team"}},
    "databases": {"ledger": {"allow": {"id": "root"}}},
}


@pytest.mark.parametrize("team", ["risk", ["risk", "another"]])
def test_a_member_sees_the_page_of_the_team_and_nothing_else(
    ledger_file: Path, serve: Callable[..., Server], team: Any
) -> None:
    server = serve(ledger_file, config=PER_TEAM)
    member = {"id": "mia", "team": team}
    page = server.get("/ledger/-/ledger/team/risk?period=2026-01", member)
    assert page.status_code == 200
    assert "acme" in page.text
    assert "globex" not in page.text
    assert "growth" not in page.text
    assert not [href for href in hrefs(shown(page.text)) if href.startswith("/ledger") and "/team/risk" not in href]
    assert "/ledger/-/ledger/team/risk" in server.get("/", member).text
    for path in ("", "/team/growth", "/agent/a", "/request/r1", "/quality", "/reconciliation"):
        assert server.get(f"/ledger/-/ledger{path}", member).status_code == 403, path
    for path in ("/ledger", "/ledger/call_cost", "/ledger/cost_by_team.json", "/ledger.db"):
        assert server.get(path, member).status_code == 403, path
    assert server.get("/ledger/-/ledger/team/risk").status_code == 403
    assert server.get("/ledger/-/ledger/team/risk", {"id": "x", "team": "growth"}).status_code == 403
    assert server.get("/ledger/-/ledger/team/growth", ROOT).status_code == 200


def test_a_team_in_the_actor_means_nothing_where_it_is_not_configured(
    ledger_file: Path, serve: Callable[..., Server]
) -> None:
    server = serve(ledger_file, config={"databases": PER_TEAM["databases"]})
    assert server.get("/ledger/-/ledger/team/risk", {"id": "mia", "team": "risk"}).status_code == 403


def test_the_shim_asks_the_whole_way_up(ledger_file: Path, serve: Callable[..., Server]) -> None:
    server = serve(ledger_file, config={"allow": {"id": "root"}})
    for actor, may in ((None, False), (SOMEBODY, False), (ROOT, True)):
        assert server.wait(compat.can_view(server.datasette, actor, "ledger", "call_cost")) is may
        assert server.wait(compat.can_view(server.datasette, actor, "ledger")) is may
        assert server.wait(compat.can_sql(server.datasette, actor, "ledger")) is may
